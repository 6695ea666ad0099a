"""MISP events: indicators and observables as attributes; attributes that came from MISP leave as they came.

Nothing leaves to more people than it came for: what has left its event carries who could see it there, sharing
groups go only with their description, and tags that were local stay here.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import orjson

from app.tenant.exports import Rows, dictionaries
from app.tenant.exports.objects import embedded
from engine.errors import Stop
from engine.model import TargetModel
from engine.types.distribution import INHERIT, circle_of
from engine.types.identity import INDICATORS
from storage.explorer import Lack

NOTE = "Indicators are attributes to detect with (to_ids), observables are context."

# Kind of ours → MISP type and category (MISP core format §2.4.2; describeTypes' default category).
_TYPES: dict[str, tuple[str, str]] = {
    "ipv4": ("ip-dst", "Network activity"), "ipv6": ("ip-dst", "Network activity"), "cidr": ("ip-dst", "Network activity"),
    "domain": ("domain", "Network activity"), "url": ("url", "Network activity"), "email": ("email-src", "Payload delivery"),
    "md5": ("md5", "Payload delivery"), "sha1": ("sha1", "Payload delivery"), "sha224": ("sha224", "Payload delivery"),
    "sha256": ("sha256", "Payload delivery"), "sha384": ("sha384", "Payload delivery"), "sha512": ("sha512", "Payload delivery"),
    "ssdeep": ("ssdeep", "Payload delivery"), "imphash": ("imphash", "Payload delivery"), "tlsh": ("tlsh", "Payload delivery"),
    "filename": ("filename", "Payload delivery"), "file-path": ("filename", "Payload delivery"),
    "registry-key": ("regkey", "Persistence mechanism"), "mutex": ("mutex", "Artifacts dropped"), "asn": ("AS", "Network activity"),
    "cve": ("vulnerability", "External analysis"), "cwe": ("weakness", "External analysis"), "mac": ("mac-address", "Network activity"),
    "user-agent": ("user-agent", "Network activity"), "bitcoin": ("btc", "Financial fraud"),
    "ja3": ("ja3-fingerprint-md5", "Network activity"), "jarm": ("jarm-fingerprint", "Network activity"),
    "yara": ("yara", "Payload installation"), "port": ("port", "Network activity"),
}  # fmt: skip
_FROM_MISP = (
    "uuid", "type", "category", "value", "to_ids", "timestamp", "comment", "first_seen", "last_seen", "deleted",
    "disable_correlation", "data",
)  # fmt: skip


class NoMispForm(Stop):
    """Records of this target model have no form as MISP attributes."""


def refuse(target: TargetModel) -> None:
    """NoMispForm where records of a target model are no attributes."""
    if target.name not in ("indicator", "observable"):
        raise NoMispForm(target.name, action="Export indicators or observables, or choose another format.")


def lacks(target: TargetModel) -> tuple[Lack, ...]:
    """What leaves a record without an attribute: `attribute` gives None for the same ones."""
    return (Lack("without a value or a pattern", absent=(("value", "pattern"),)),)


def write(target: TargetModel, batches: Rows) -> Iterator[bytes]:
    """One event with an attribute for each record."""
    return event(
        target, batches, info=f"{target.title or target.name} from Phantom Spire", at=datetime.now(UTC)
    )


def event(target: TargetModel, batches: Rows, *, info: str, at: datetime) -> Iterator[bytes]:
    """One event, an attribute a line. It is not published, and shared with nobody, until somebody says so."""
    refuse(target)
    return _event(target, batches, info, at)


def _event(target: TargetModel, batches: Rows, info: str, at: datetime) -> Iterator[bytes]:
    head = orjson.dumps(
        {
            "uuid": str(uuid.uuid4()),
            "info": info,
            "date": at.date().isoformat(),
            "threat_level_id": "4",
            "analysis": "0",
            "distribution": "0",
            "published": False,
            "timestamp": str(int(at.timestamp())),
        }
    )
    opening = b'{"Event":' + head[:-1] + b',"Attribute":[\n'
    given: set[str] = set()
    for row in dictionaries(batches):
        made = attribute(row, to_ids=target.name == "indicator")
        # The parts of a composite are records of their own, and one attribute.
        if made is None or made["uuid"] in given:
            continue
        if row.get("object"):
            given.add(made["uuid"])
        yield opening + orjson.dumps(made)
        opening = b",\n"
    if not opening.startswith(b","):
        yield opening
    yield b"\n]}}\n"


def attribute(row: dict[str, Any], *, to_ids: bool) -> dict[str, Any] | None:
    """A record as an attribute; None where there is no value to give."""
    came = from_misp(row)
    if came.get("row") == "attribute" and came.get("uuid"):
        return _as_it_came(came, circle_of(came.get("sharing") or came, INHERIT).fields())
    text = row.get("value")
    if not text:
        return _pattern(row)
    kind, category = _TYPES.get(str(row.get("value_type")), ("text", "Other"))
    return _common(row) | {
        "type": kind,
        "category": category,
        "value": text,
        "to_ids": to_ids and kind != "text",
    }


def from_misp(row: dict[str, Any]) -> dict[str, Any]:
    """What a record was in MISP, as the reader gave it; nothing where it did not come from there."""
    came = embedded(row["object"]) if isinstance(row.get("object"), str) else None
    return came if isinstance(came, dict) and isinstance(came.get("row"), str) else {}


def _as_it_came(came: dict[str, Any], circle: dict[str, Any]) -> dict[str, Any]:
    made = {name: came[name] for name in _FROM_MISP if came.get(name) not in (None, "")}
    tags = exported_tags(came)
    return {**made, **circle, **({"Tag": tags} if tags else {})}


def exported_tags(came: dict[str, Any]) -> list[dict[str, str]]:
    """The tags something leaves with: a local tag is for the instance it was set on."""
    kept = {
        str(tag.get("name"))
        for tag in came.get("Tag") or ()
        if isinstance(tag, dict)
        and (str(tag.get("local")) in ("True", "1") or tag.get("exportable") is False)
    }
    tags = came.get("tags")
    return [{"name": tag} for tag in tags if tag not in kept] if isinstance(tags, list) else []


def _pattern(row: dict[str, Any]) -> dict[str, Any] | None:
    if not row.get("pattern"):
        return None
    kind = {"stix": "stix2-pattern", "yara": "yara", "sigma": "sigma", "snort": "snort"}
    named = kind.get(str(row.get("pattern_type") or "stix"), "text")
    category = {"text": "Other", "snort": "Network activity"}.get(named, "Payload installation")
    return _common(row) | {
        "type": named,
        "category": category,
        "value": row["pattern"],
        "to_ids": named != "text",
    }


def _common(row: dict[str, Any]) -> dict[str, Any]:
    id = str(row["id"])
    _, _, end = id.rpartition("--")
    try:
        own = str(uuid.UUID(end))
    except ValueError:
        own = str(uuid.uuid5(INDICATORS, id))
    made: dict[str, Any] = {"uuid": own}
    told = [str(row[name]) for name in ("name", "description", "threat") if row.get(name)]
    if told:
        made["comment"] = " · ".join(dict.fromkeys(told))[:60_000]
    at = row.get("modified") or row.get("valid_from")
    if at is not None:
        made["timestamp"] = str(int(at.replace(tzinfo=UTC).timestamp()))
    for name in ("first_seen", "last_seen"):
        if row.get(name) is not None:
            made[name] = row[name].replace(tzinfo=UTC).isoformat()
    tags = [{"name": tag} for tag in row.get("labels") or []]
    if row.get("tlp"):
        tags.append({"name": f"tlp:{str(row['tlp']).lower()}"})
    return {**made, **({"Tag": tags} if tags else {})}
