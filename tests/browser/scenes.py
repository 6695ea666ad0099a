"""What the guide's pictures show: screens of a working week, forms filled in and tried, and what runs lead to."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import psycopg
import pymongo
import pymysql
from playwright.sync_api import Page

from tests.browser.furnishing import BUNDLE, Api, Furnished
from tests.browser.patience import settle
from tests.browser.serving import Served
from tests.connectors.misp_instance import KEY, Instance
from tests.connectors.web import Web
from tests.servers import mariadb, mongo, postgres, sftp, taxii
from tests.servers.google_analytics import PROPERTY, Analytics
from tests.servers.keyed import Keyed
from tests.servers.process import Running, once
from tests.servers.salesforce import APP, USER, Salesforce


@dataclass
class Stage:
    """A product with a week's work in it, a page in it, and what else a picture needs."""

    page: Page
    served: Served
    there: Furnished
    servers: Path
    box: Path
    closing: ExitStack

    @property
    def api(self) -> Api:
        return Api(self.served)

    def server(self, name: str, start: Callable[[Path], Running]) -> str:
        """The address of a server, started by whoever asks first."""
        return once(self.servers, name, start)

    def open(self, address: str) -> None:
        self.page.goto(f"{self.served.url}/{address}")
        settle(self.page)

    def fill(self, settings: dict[str, str]) -> None:
        for label, value in settings.items():
            self.page.get_by_label(label, exact=True).first.fill(value)

    def press(self, *names: str) -> None:
        for name in names:
            self.page.get_by_role("button", name=name, exact=True).first.click()
            self.page.mouse.move(0, 0)
            settle(self.page)

    def further(self, settings: dict[str, str]) -> None:
        """Fill in further settings and fold them away again."""
        self.page.get_by_text("Further settings").click()
        self.fill(settings)
        self.page.get_by_text("Further settings").click()
        settle(self.page)

    def choose(self, label: str, option: str) -> None:
        settle(self.page)
        self.page.get_by_role("combobox", name=label, exact=True).click()
        self.page.get_by_role("option", name=option).click()
        settle(self.page)


# Screens, as their addresses open them


def home(stage: Stage) -> None:
    stage.open("")


def mapping(stage: Stage) -> None:
    stage.open(f"mapping?pipeline={stage.there.pipeline}")


def run(stage: Stage) -> None:
    stage.open(f"runs?run={stage.there.run}")


def quarantine(stage: Stage) -> None:
    stage.open(f"quarantine?pipeline={stage.there.pipeline}")


def explorer(stage: Stage) -> None:
    stage.open("explorer?target=indicator&where=tlp%3DAMBER&where=confidence%3D70..")


# Forms, filled in and tried


def _database(stage: Stage, parts: SplitResult, name: str, database: str, **more: str) -> None:
    stage.fill({"Name": name, "Host": str(parts.hostname), "Database": database, **more})
    stage.fill({"Username": str(parts.username), "Password": str(parts.password)})
    stage.choose("TLS", "disable")
    stage.further({"Port": str(parts.port)})


def _blocklist(stage: Stage) -> SplitResult:
    """A PostgreSQL with something to choose from."""
    url = stage.server("postgres", postgres.start).replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            """CREATE SCHEMA IF NOT EXISTS cti;
            CREATE TABLE IF NOT EXISTS cti.blocklist (indicator text PRIMARY KEY, confidence int, seen timestamptz, notes text);
            INSERT INTO cti.blocklist SELECT '203.0.113.' || i, i, now() - i * interval '1 hour', '' FROM generate_series(1, 200) i
            ON CONFLICT DO NOTHING; ANALYZE"""
        )
    return urlsplit(url)


def browse(stage: Stage) -> None:
    parts = _blocklist(stage)
    stage.open("sources?new=postgres")
    _database(stage, parts, "Partner", "postgres")
    stage.press("Look what is there")
    stage.choose("Columns", "indicator · text")
    stage.choose("Columns", "confidence · integer")
    stage.page.keyboard.press("Escape")


def mysql(stage: Stage) -> None:
    parts = urlsplit(stage.server("mariadb", mariadb.start))
    with closing(
        pymysql.connect(
            host=parts.hostname, port=parts.port or 0, user=parts.username, password=parts.password or "",
            database=parts.path.strip("/"), autocommit=True,
        )
    ) as connection, connection.cursor() as cursor:  # fmt: skip
        cursor.execute("CREATE TABLE cases (id int PRIMARY KEY, indicator varchar(200), updated_at datetime(6), KEY (updated_at))")  # fmt: skip
        cursor.execute("INSERT INTO cases VALUES (1, 'login.example.org', '2026-01-02 06:00:00')")
    stage.open("sources?new=mysql")
    _database(stage, parts, "Cases", parts.path.strip("/"), Table="cases", Cursor="updated_at")
    stage.press("Try the connection")


def mongodb(stage: Stage) -> None:
    url = stage.server("mongo", mongo.start)
    with pymongo.MongoClient[dict[str, Any]](url) as client:
        sightings = [{"value": f"203.0.113.{n}", "seen": datetime(2026, 1, 2, tzinfo=UTC), "by": {"desk": "north"}} for n in range(40)]  # fmt: skip
        client["cti"]["sightings"].insert_many(sightings)
    stage.open("sources?new=mongo")
    _database(stage, urlsplit(url), "Sightings", "cti", Collection="sightings")
    stage.press("Look what is there")


def salesforce(stage: Stage) -> None:
    org = stage.closing.enter_context(closing(Salesforce()))
    stamps = [f"2026-01-01T{n // 60:02}:{n % 60:02}:00.000Z" for n in range(120)]
    org.add("Contact", *({"Id": f"003{n:012d}AAA", "FirstName": "Ana", "LastName": f"Example {n}", "Email": f"ana{n}@example.com", "SystemModstamp": at} for n, at in enumerate(stamps)))  # fmt: skip
    org.add("Account", {"Id": "001000000000001AAA", "Name": "Example GmbH", "SystemModstamp": stamps[0]})
    stage.open("sources?new=salesforce")
    stage.fill({"Name": "Customers", "Address": org.url, "Consumer key": APP, "Username": USER, "Private key": org.private_key})  # fmt: skip
    stage.further({"Authority": org.authority})
    stage.press("Look what is there", "Take over into the form", "Look what is there", "Try the connection")


def google_analytics(stage: Stage) -> None:
    asked = stage.closing.enter_context(closing(Analytics()))
    asked.rows = [
        {"date": f"{datetime.now(UTC).date() - timedelta(days=d):%Y%m%d}", "pagePath": f"/{p}", "sessionSource": "direct",
         "country": "Germany", "sessions": 5 + p, "activeUsers": 2, "screenPageViews": 9}
        for d in range(1, 30) for p in range(3)
    ]  # fmt: skip
    stage.open("sources?new=google_analytics")
    stage.fill({"Name": "Web site", "Property": PROPERTY, "Service account's key": asked.key()})
    stage.further({"Authority": asked.authority, "Address": asked.url})
    stage.press("Look what is there", "Try the connection")
    stage.choose("Dimensions", "country")
    stage.page.keyboard.press("Escape")


def _event(number: int) -> dict[str, Any]:
    uuid, at = f"{number:08d}-0000-4000-8000-00000000000", str(1_700_000_000 + number)
    attribute = {"uuid": f"{uuid}0", "type": "ip-dst", "category": "Network activity", "value": f"203.0.113.{number}", "to_ids": True, "timestamp": at}  # fmt: skip
    return {
        "uuid": f"{uuid}f", "info": f"Phishing wave {number}", "date": "2026-01-02", "published": True, "threat_level_id": "2",
        "analysis": "2", "timestamp": at, "publish_timestamp": at, "Orgc": {"name": "CERT", "uuid": f"{uuid}1"},
        "Tag": [{"name": "tlp:green"}], "Attribute": [attribute],
    }  # fmt: skip


def misp(stage: Stage) -> None:
    instance = stage.closing.enter_context(closing(Instance()))
    for number in range(1, 9):
        instance.put(_event(number))
    stage.open("sources?new=misp")
    stage.fill({"Name": "Sharing community", "Address": instance.url, "API key": KEY})
    stage.press("Try the connection")


def misp_feed(stage: Stage) -> None:
    web = stage.closing.enter_context(closing(Web()))
    events = [_event(number) for number in range(1, 9)]
    kept = ("info", "date", "timestamp", "threat_level_id", "analysis", "Orgc", "Tag")
    web.files["/feed/manifest.json"] = json.dumps(
        {e["uuid"]: {k: e[k] for k in kept} for e in events}
    ).encode()
    web.files |= {f"/feed/{e['uuid']}.json": json.dumps({"Event": e}).encode() for e in events}
    stage.open("sources?new=misp_feed")
    stage.fill({"Name": "CERT, published events", "Address": f"{web.url}/feed/"})
    stage.press("Try the connection")


def taxii_server(stage: Stage) -> None:
    objects = taxii.objects_from(BUNDLE.parents[1])
    url = stage.server("taxii", lambda folder: taxii.start(folder, "2.1", objects))
    stage.open("sources?new=taxii")
    stage.fill({"Name": "Members", "Address": url, "Username": taxii.ACCOUNT, "Password": taxii.PASSWORD})
    stage.press("Try the connection")


def rest(stage: Stage) -> None:
    web = stage.closing.enter_context(closing(Web()))
    found = [{"ioc": f"192.0.2.{n}", "seen": "2026-01-02", "tags": ["c2"]} for n in range(1, 6)]
    web.made["/api"] = lambda query: json.dumps(
        {"data": {"items": found, "more": False}, "took": 0.4}
    ).encode()
    stage.open("sources?new=rest")
    stage.fill({"Name": "Partner feed", "Address": f"{web.url}/api"})
    stage.press("Look at an answer")
    tree = stage.page.get_by_role("tree", name="The answer")
    tree.get_by_role("treeitem").filter(
        has=stage.page.locator(".name", has_text=re.compile("^items$"))
    ).click()


def rss(stage: Stage) -> None:
    web = stage.closing.enter_context(closing(Web()))
    entries = "".join(
        f"<item><guid>{n}</guid><title>Phishing wave {n}</title><link>https://desk.example/{n}</link>"
        f"<description>Seen from 203.0.113[.]{n}, with a page at login{n}[.]example.</description></item>"
        for n in range(1, 5)
    )
    web.files["/feed.xml"] = f'<rss version="2.0"><channel><title>Desk reports</title>{entries}</channel></rss>'.encode()  # fmt: skip
    stage.open("sources?new=url")
    stage.fill({"Name": "Desk reports", "Address": f"{web.url}/feed.xml"})
    stage.press("Try the connection")


def remote_files(stage: Stage) -> None:
    server = stage.closing.enter_context(closing(sftp.Server(stage.box)))
    (stage.box / "feed.csv").write_text("ip,seen\n192.0.2.1,2026-01-01\n")
    stage.open("sources?new=sftp")
    account = {
        "Host": "127.0.0.1",
        "Port": str(server.port),
        "Username": sftp.ACCOUNT,
        "Password": sftp.PASSWORD,
    }
    stage.fill({"Name": "Partner's drop", **account})
    stage.press("Try the connection")


# What sources, records and runs lead to


def credentials(stage: Stage) -> None:
    keyed, now = stage.closing.enter_context(closing(Keyed("key-of-spring"))), datetime.now(UTC)
    kept = (
        ("AlienVault OTX, reading", "key", ["otx.alienvault.com", keyed.host], timedelta(days=5)),
        (
            "Case database",
            "password",
            ["cases.example:5432", "cases-standby.example:5432"],
            timedelta(),
        ),
        ("Sharing group certificate", "certificate", ["taxii.sharing.example"], timedelta(days=190)),
    )
    for name, kind, hosts, lasts in kept:
        body = {"name": name, "kind": kind, "value": "key-of-spring", "hosts": hosts, "expires": (now + lasts).isoformat()}  # fmt: skip
        id = stage.api("POST", "/credentials", json=body)["id"]
        if kind == "key":
            first = id
    for name in ("Daily indicators", "Weekly indicators"):
        config = {"url": keyed.url, "header": "X-Key", "secret": {"credential": first}}
        stage.api("POST", "/sources", json={"connector": "url", "name": name, "config": config})
    stage.open(f"settings?part=credentials&credential={first}")


def _partner(stage: Stage, lines: list[str]) -> str:
    content = "\n".join(lines).encode()
    return str(stage.api("POST", "/payloads", params={"name": "partner.csv"}, content=content)["payload"])


def drift(stage: Stage) -> None:
    before = ["indicator,confidence,tlp", *(f"203.0.{n >> 8}.{n & 255},{n % 100},amber" for n in range(300))]
    after = ["ioc,confidence,labels", *(f"203.0.{n >> 8}.{n & 255},{'low' if n % 2 else 'high'},phishing" for n in range(400, 800))]  # fmt: skip
    body: dict[str, Any] = {"payload": _partner(stage, before), "name": "partner.csv", "id": "partner"}
    stage.api("POST", "/sources", json=body)
    offered = stage.api("POST", "/suggest", json={"source": "partner", "target": "indicator"})
    body = {
        "name": "Partner",
        "id": "partner",
        "source": "partner",
        "mappings": [offered["suggestions"][0]["mapping"]],
    }
    stage.api("POST", "/pipelines", json={**body, "contract": {"vanished_fields": "discard row"}})
    stage.api("POST", "/pipelines/partner/runs", json={"wait": 120})
    stage.api("PATCH", "/sources/partner", json={"payload": _partner(stage, after)})
    run = stage.api("POST", "/pipelines/partner/runs", json={"wait": 120})["run"]
    stage.open(f"runs?run={run}")
    stage.press("See the mapping that follows")


def publication(stage: Stage) -> None:
    parts = _blocklist(stage)
    config = {"host": parts.hostname, "port": parts.port, "database": "postgres", "username": parts.username, "password": parts.password, "tls": "disable", "table": "cti.shared"}  # fmt: skip
    body = {"name": "To the partner", "connector": "postgres", "target": "indicator", "where": ["confidence=50..101"], "config": config}  # fmt: skip
    id = stage.api("POST", "/publications", json=body)["publication"]["id"]
    stage.api("POST", f"/publications/{id}/deliveries", json={})
    stage.api("GET", f"/publications/{id}/deliveries/1", params={"wait": 60})
    stage.open(f"schedules?publication={id}")


def stix(stage: Stage) -> None:
    """In a tenant of its own, which has not seen the newer collection yet."""
    with stage.served.http() as http:
        http.post("/api/v1/tenants", json={"id": "attack", "name": "ATT&CK"}).raise_for_status()
    api, folder, data = Api(stage.served, "attack"), stage.box / "attack", BUNDLE.parent
    folder.mkdir()
    shutil.copyfile(data / "ics-attack-17.1.json", folder / "ics-attack.json")
    config = {"path": str(folder), "settle_seconds": 0}
    made = api("POST", "/sources", json={"connector": "folder", "name": "ATT&CK for ICS", "config": config})[
        "source"
    ]
    api("PATCH", f"/sources/{made['id']}", json={"options": {"complete": True}})
    body = {"name": "ATT&CK for ICS", "source": made["id"], "mappings": made["shape"]["mappings"]}
    pipeline = api("POST", "/pipelines", json=body)["pipeline"]["id"]
    api("POST", f"/pipelines/{pipeline}/runs", json={"wait": 280})
    shutil.copyfile(data / "ics-attack-18.1.json", folder / "ics-attack.json")
    run = api("POST", f"/pipelines/{pipeline}/runs", json={"wait": 280})["run"]
    stage.open(f"runs?run={run}&tenant=attack")


SCREENS = {"home": home, "mapping": mapping, "run": run, "quarantine": quarantine, "explorer": explorer}
# These show the page without the sidebar, as far down as it goes.
PAGES = {
    "browse": browse, "mysql": mysql, "mongo": mongodb, "salesforce": salesforce, "google-analytics": google_analytics,
    "misp": misp, "misp-feed": misp_feed, "taxii": taxii_server, "rest": rest, "rss": rss, "remote-files": remote_files,
    "credentials": credentials, "drift": drift, "publication": publication, "stix": stix,
}  # fmt: skip
