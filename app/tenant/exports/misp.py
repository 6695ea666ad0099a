"""Records in MISP's words: indicators and observables as attributes, sightings; what came from MISP as it came.

Nothing leaves to more people than it came for: what has left its event carries who could see it there, sharing
groups go only with their description, and tags that were local stay here.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Collection
from datetime import UTC
from typing import Any

from app.tenant.exports.objects import embedded
from engine.errors import Stop
from engine.model import TargetModel
from engine.types.distribution import INHERIT, circle_of
from engine.types.identity import INDICATORS

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

# What MISP's conversion to STIX makes of an attribute's fields that STIX has none for.
_LABEL = re.compile(r'misp:(type|category|to_ids)="(.*)"')


class NoMispForm(Stop):
    """Records of this target model have no form as MISP attributes."""


def refuse(target: TargetModel, also: Collection[str] = ()) -> None:
    """NoMispForm where records of a target model are no attributes, nor of those that are taken as well."""
    if target.name not in ("indicator", "observable", *also):
        raise NoMispForm(target.name, action="Export indicators or observables, or choose another format.")


def attribute(row: dict[str, Any], *, to_ids: bool) -> dict[str, Any] | None:
    """A record as an attribute; None where there is no value to give."""
    came = from_misp(row)
    if came.get("row") == "attribute" and came.get("uuid"):
        return _as_it_came(came, circle_of(came.get("sharing") or came, INHERIT).fields())
    text = row.get("value")
    if not text:
        return _pattern(row)
    kind, category = _meant(row) or _TYPES.get(str(row.get("value_type")), ("text", "Other"))
    return _common(row) | {
        "type": kind,
        "category": category,
        "value": text,
        "to_ids": to_ids and kind != "text",
    }


def _meant(row: dict[str, Any]) -> tuple[str, str] | None:
    """Type and category in MISP, where MISP's own conversion to STIX noted them; not of one part of several."""
    said = {found[1]: found[2] for label in row.get("labels") or () if (found := _LABEL.fullmatch(label))}
    if not said.get("type") or not said.get("category") or "|" in said["type"]:
        return None
    return said["type"], said["category"]


def from_misp(row: dict[str, Any]) -> dict[str, Any]:
    """What a record was in MISP, as the reader gave it; nothing where it did not come from there."""
    came = embedded(row["object"]) if isinstance(row.get("object"), str) else None
    return came if isinstance(came, dict) and isinstance(came.get("row"), str) else {}


def _as_it_came(came: dict[str, Any], circle: dict[str, Any]) -> dict[str, Any]:
    made = {name: came[name] for name in _FROM_MISP if came.get(name) not in (None, "")}
    if str(made.get("deleted")) not in ("True", "1"):
        # That something is there says nothing against whoever has deleted it elsewhere.
        made.pop("deleted", None)
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
    if named != "stix2-pattern" and (meant := _meant(row)):
        named, category = meant
    return _common(row) | {
        "type": named,
        "category": category,
        "value": row["pattern"],
        "to_ids": named != "text",
    }


def _common(row: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"uuid": own_uuid(str(row["id"]))}
    told = [str(row[name]) for name in ("name", "description", "threat") if row.get(name)]
    if told:
        made["comment"] = " · ".join(dict.fromkeys(told))[:60_000]
    at = row.get("modified") or row.get("valid_from")
    if at is not None:
        made["timestamp"] = str(int(at.replace(tzinfo=UTC).timestamp()))
    for name in ("first_seen", "last_seen"):
        if row.get(name) is not None:
            made[name] = row[name].replace(tzinfo=UTC).isoformat()
    if row.get("revoked"):
        made["deleted"] = True
    tags = [{"name": tag} for tag in row.get("labels") or [] if not _LABEL.fullmatch(tag)]
    if row.get("tlp"):
        tags.append({"name": f"tlp:{str(row['tlp']).lower()}"})
    return {**made, **({"Tag": tags} if tags else {})}


_SAID = {"false-positive": "1", "expiration": "2"}
_OF_A_SIGHTING = ("uuid", "type", "date_sighting", "source", "Organisation")


def sighting(row: dict[str, Any]) -> dict[str, Any] | None:
    """A record of a sighting in MISP's words; None where it has no time, or says that nothing was seen.

    MISP's sightings are one observation each: of a span the end counts, and how often is not said.
    """
    came = from_misp(row)
    if came.get("row") == "sighting":
        return {name: came[name] for name in _OF_A_SIGHTING if came.get(name) not in (None, "")}
    kind = next((_SAID[label] for label in row.get("labels") or () if label in _SAID), "0")
    at = row.get("last_seen") or row.get("first_seen") or row.get("modified")
    if at is None or (kind == "0" and row.get("count") == 0):
        return None
    made = {"uuid": own_uuid(str(row["id"])), "type": kind, "source": ""}
    return made | {"date_sighting": str(int(at.replace(tzinfo=UTC).timestamp()))}


def own_uuid(id: str) -> str:
    """The uuid in an id of ours, or one made of it."""
    try:
        return str(uuid.UUID(id.rpartition("--")[2]))
    except ValueError:
        return str(uuid.uuid5(INDICATORS, id))
