"""What a product is filled with before it is looked at: nothing, a working week, 300 columns, or odd values."""

from __future__ import annotations

import io
import json
import random
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx

from tests.browser.serving import Served

ROOT = Path(__file__).resolve().parents[2]
BUNDLE = ROOT.parent / "shared" / "data" / "attack-stix-data" / "ics-attack-18.1.json"
STATES = ("empty", "full", "wide", "odd")

LONG = (
    "A feed whose name somebody wrote out in full, with the desk, the quarter and the contract it came under"
)
ODD = (
    ("عنوان-خبيث.example", "דוח תקיפה מהשבוע שעבר", "\u202eevil\u202c.example seen twice"),
    ("xn--bcher-kva.example", "🦊🕵️‍♀️ phishing kit 🇺🇳", "Zoë's ‘note’ — with “quotes” & <b>tags</b>"),
    ("a" * 60 + ".example", "x" * 400, "one line\\nthat says it is two"),
    ("例え.example", "悪意のあるドメイン", "0012"),
    ("plain.example", "", "  spaces around  "),
)


@dataclass
class Furnished:
    """Where things are: the names of the sources, pipelines and runs that addresses point to."""

    tenant: str = "default"
    source: str = ""
    fresh: str = ""
    pipeline: str = ""
    run: int = 0
    bundle_run: int = 0
    schedule: str = ""
    record: tuple[str, str] = ("", "")
    # Sources of whose contents a part is picked, by what they are.
    picked: dict[str, str] = field(default_factory=dict)


class Api:
    """Ada's requests to one tenant."""

    def __init__(self, served: Served, tenant: str = "default") -> None:
        self._served = served
        self._base = f"/api/v1/tenants/{tenant}"

    def __call__(self, method: str, path: str, **options: Any) -> Any:
        with self._served.http() as http:
            base = "" if path.startswith("/api/") else self._base
            answer = http.request(method, base + path, timeout=httpx.Timeout(300), **options)
        assert answer.is_success, f"{method} {path}: {answer.text[:500]}"
        return answer.json() if answer.content else None


def furnish(served: Served, state: str, tenant: str = "default") -> Furnished:
    """Fill a tenant that has nothing in it."""
    api = Api(served, tenant)
    made = {"empty": _nothing, "full": _week, "wide": _wide, "odd": _odd}[state](api)
    made.tenant = tenant
    return made


def messy(rows: int = 900, seed: int = 7) -> str:
    """Indicators as people share them: a comment on top, defanged, in several spellings, some plainly wrong."""
    random.seed(seed)
    pick = random.choice
    lines = [
        "# Weekly exchange, documentation values only",
        "Indicator;Type;First seen;Confidence;TLP;Comment",
    ]
    for n in range(rows):
        kind = pick(("ip", "domain", "url", "md5", "sha256"))
        value = {
            "ip": f"203.0.113[.]{n % 250}" if n % 3 else f"2001:db8::{n:x}",
            "domain": f"login{n}.example[.]{pick(('com', 'org', 'net'))}",
            "url": f"hxxp://files{n % 90}.example/{pick(('reset', 'invoice', 'track'))}?id={n}",
            "md5": f"{random.getrandbits(128):032X}",
            "sha256": f"{random.getrandbits(256):064x}",
        }[kind]
        day = f"2026-{1 + n % 9:02}-{1 + n % 28:02}"
        if n % 61 == 5:
            day = f"{14 + n % 14}.{1 + n % 12:02}.2026"
        sure: object = 5 * (n % 20)
        if n % 37 == 3:
            sure = pick(("high", "medium", "many"))
        tlp = pick(("TLP:AMBER", "TLP:GREEN", "green", "WHITE", "amber"))
        if n % 83 == 1:
            value = pick(("not an address", "n/a", "203.0.113.999"))
        lines.append(
            f"{value};{kind};{day};{sure};{tlp};seen by the mail gateway, case {4000 + n}"
            if n % 150 != 149
            else f"{value};{kind};{day}"
        )
    return "\n".join(lines) + "\n"


def wide(columns: int = 300, rows: int = 120) -> str:
    """A table of 300 columns, some of them of interest."""
    random.seed(3)
    names = ["indicator", "first_seen", "confidence"] + [f"attribute_{n:03}" for n in range(columns - 3)]
    lines = [",".join(names)]
    for n in range(rows):
        values = [f"198.51.100.{n}", f"2026-03-{1 + n % 28:02}", str(n % 100)]
        values += [str(random.randint(0, 9999)) if c % 3 else f"v{c}" for c in range(columns - 3)]
        lines.append(",".join(values))
    return "\n".join(lines) + "\n"


def odd(rows: int = 60) -> str:
    """Right-to-left names, emoji, markup, and values far too long for a cell."""
    lines = [
        "Indicator;ملاحظة;Comment, as the analyst who saw it first wrote it down in the shift report;Sure"
    ]
    for n in range(rows):
        value, note, comment = ODD[n % len(ODD)]
        lines.append(f'{n}-{value};{note};"{comment}";{n if n % 7 else "🤷"}')
    return "\n".join(lines) + "\n"


def _nothing(api: Api) -> Furnished:
    return Furnished()


def _source(api: Api, text: str, name: str, id: str) -> str:
    params = {"name": name}
    sealed = api("POST", "/payloads", params=params, content=text.encode())["payload"]
    made = api("POST", "/sources", json={"payload": sealed, "name": name, "id": id})
    return str(made["source"]["id"])


def _pipeline(api: Api, source: str, name: str, target: str | None = "indicator") -> str:
    offered = api("POST", "/suggest", json={"source": source, "target": target})
    mapping = offered["suggestions"][0]["mapping"]
    made = api("POST", "/pipelines", json={"name": name, "source": source, "mappings": [mapping]})
    return str(made["pipeline"]["id"])


def _run(api: Api, pipeline: str, **body: object) -> int:
    return int(api("POST", f"/pipelines/{pipeline}/runs", json={"wait": 120, **body})["run"])


def _record(api: Api, target: str) -> tuple[str, str]:
    rows = api("GET", f"/records/{target}", params={"limit": 1})["rows"]
    return (target, str(rows[0]["_id"])) if rows else ("", "")


def _week(api: Api) -> Furnished:
    """A feed run twice, a bundle, a schedule, colleagues, a source that nobody mapped yet."""
    source = _source(api, messy(), "weekly-exchange.csv", "exchange")
    pipeline = _pipeline(api, source, "Weekly exchange")
    run = _run(api, pipeline)
    _run(api, pipeline, dry_run=True)
    later = api("POST", "/payloads", params={"name": "weekly-exchange.csv"}, content=messy(1100).encode())
    api("PATCH", f"/sources/{source}", json={"payload": later["payload"]})
    run = _run(api, pipeline)
    bundle = 0
    if BUNDLE.exists():
        params = {"name": BUNDLE.name, "wait": 280}
        bundle = int(api("POST", "/ingest", params=params, content=BUNDLE.read_bytes())["run"])
    _source(api, messy(40, seed=11), "shift-report.csv", "shift-report")
    body = {"tenant": "default", "pipeline": pipeline, "trigger": "cron", "time_zone": "UTC"}
    schedule = api(
        "POST", "/api/v1/schedules", params={"tenant": "default"},
        json={k: v for k, v in body.items() if k != "tenant"} | {"spec": {"cron": "0 6 * * 1-5"}},
    )  # fmt: skip
    for login, role in (("vera", "viewer"), ("anna", "analyst"), ("erik", "engineer")):
        person = {"login": login, "name": login.title(), "password": "correct horse battery"}
        api("POST", "/api/v1/users", json=person | {"tenants": {"default": role}})
    return Furnished(
        source=source, fresh="shift-report", pipeline=pipeline, run=run, bundle_run=bundle,
        schedule=str(schedule["id"]), record=_record(api, "indicator"),
    )  # fmt: skip


def _wide(api: Api) -> Furnished:
    source = _source(api, wide(), "three-hundred-columns.csv", "wide")
    pipeline = _pipeline(api, source, "Three hundred columns")
    run = _run(api, pipeline)
    return Furnished(
        source=source, fresh=source, pipeline=pipeline, run=run, record=_record(api, "indicator")
    )


def picked() -> dict[str, tuple[str, bytes]]:
    """Files of which a part is read: JSON with lists in several places, a zip of several files, a STIX bundle."""
    rows = [{"ip": f"192.0.2.{n}", "score": n / 4, "seen": f"2026-01-{1 + n:02}"} for n in range(20)]
    document = {
        "meta": {"page": 1, "of": 3},
        "data": {"indicators": rows, "عناصر": rows[:3]},
        "campaigns": [{"name": f"Campaign {n}", "active": n % 2 == 0} for n in range(4)],
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in ("january", "february", "a report nobody asked for, with a long name 🦊"):
            archive.writestr(f"2026/{name}.csv", "ip,seen\n" + "192.0.2.1,2026-01-01\n" * 9)
    stamp = "2026-01-01T00:00:00.000Z"
    objects = [
        {"type": kind, "spec_version": "2.1", "id": f"{kind}--{UUID(int=n)}", "created": stamp, "modified": stamp,
         "name": f"{kind} {n}"}
        for n, kind in enumerate(("malware", "malware", "tool", "campaign", "identity", "x-own-thing"))
    ]  # fmt: skip
    bundle = {"type": "bundle", "id": f"bundle--{UUID(int=1)}", "objects": objects}
    return {
        "json": ("partner-answer.json", json.dumps(document).encode()),
        "zip": ("exchange.zip", packed.getvalue()),
        "stix": ("bundle.json", json.dumps(bundle).encode()),
    }


def _pick(api: Api) -> dict[str, str]:
    made = {}
    for kind, (name, content) in picked().items():
        sealed = api("POST", "/payloads", params={"name": name}, content=content)["payload"]
        made[kind] = str(api("POST", "/sources", json={"payload": sealed, "name": name})["source"]["id"])
    return made


def _odd(api: Api) -> Furnished:
    source = _source(api, odd(), f"{LONG}.csv", "odd")
    pipeline = _pipeline(api, source, f"{LONG} – تقرير 🦊")
    run = _run(api, pipeline)
    return Furnished(
        source=source, fresh=source, pipeline=pipeline, run=run, record=_record(api, "indicator"),
        picked=_pick(api),
    )  # fmt: skip
