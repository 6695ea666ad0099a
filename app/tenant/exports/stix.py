"""STIX 2.1 bundles: objects that came as STIX leave exactly as they came; other records become valid objects."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import orjson

from app.tenant.exports import Rows, dictionaries
from app.tenant.exports.objects import embedded, moment, value
from engine.errors import Stop
from engine.model import FieldType, TargetField, TargetModel
from engine.targets import TARGETS
from engine.types.identity import INDICATORS, OBSERVABLES
from engine.types.pattern import WRITTEN
from engine.types.vocabularies.tlp import MARKINGS
from storage.explorer import Lack

NOTE = "Objects that came as STIX are exported exactly as they came; other records are made into STIX 2.1 objects."

_ID = re.compile(r"[a-z0-9][a-z0-9-]*--[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# Fields of ours that are no property of the STIX type: they go into the description's place or nowhere.
_OURS = {
    "object", "value", "value_type", "original", "observables", "tlp", "severity", "score", "source", "threat",
    "threat_actor", "port", "protocol", "country", "asn", "status", "cve", "vector", "cwe", "vendor", "product",
    "due", "exploited", "external_id",
}  # fmt: skip
_KEPT = {"location": {"country"}, "malware-analysis": {"product"}}
_NOT_OF_TYPE = {"indicator": {"first_seen", "last_seen"}, "vulnerability": {"published"}}
_MEANT: dict[str, dict[str, Any]] = {
    "malware": {"is_family": False},
    "report": {},
    "identity": {},
}
# STIX 2.1 §6: types of a single value, with the kind of ours they hold.
_OBSERVABLE = {
    "ipv4": "ipv4-addr", "ipv6": "ipv6-addr", "domain": "domain-name", "url": "url", "email": "email-addr",
    "mac": "mac-addr",
}  # fmt: skip
_HASHES = {
    "md5": "MD5",
    "sha1": "SHA-1",
    "sha256": "SHA-256",
    "sha512": "SHA-512",
    "ssdeep": "SSDEEP",
    "tlsh": "TLSH",
}
_KINDS = (*_OBSERVABLE, *_HASHES, "filename", "asn", "mutex", "registry-key")
_TLP = {name: marking for marking, name in reversed(MARKINGS.items())}
_STRICT = {name: place for place, name in enumerate(("CLEAR", "GREEN", "AMBER", "AMBER+STRICT", "RED"))}
_OBSERVED = "observable--"
_NEEDS = {
    "report": ("name", "published", "object_refs"), "grouping": ("context", "object_refs"), "note": ("content", "object_refs"),
    "opinion": ("opinion", "object_refs"), "relationship": ("relationship_type", "source_ref", "target_ref"),
    "sighting": ("sighting_of_ref",), "malware-analysis": ("product",), "infrastructure": ("name",),
    "observed-data": ("first_observed", "last_observed", "number_observed"), "location": (),
    "marking-definition": ("definition_type",), "language-content": ("object_ref", "contents"),
    "extension-definition": ("name", "schema", "version"),
}  # fmt: skip


class NoStixForm(Stop):
    """Records of this target model have no form in STIX."""


def exportable(target: TargetModel) -> bool:
    """Whether records of a target model can be STIX objects."""
    return target.name in TARGETS and any(field.name == "object" for field in target.fields)


def refuse(target: TargetModel) -> None:
    """NoStixForm where a target model has no form in STIX at all."""
    if not exportable(target):
        raise NoStixForm(target.name, action="Export it as CSV, Parquet or JSON.")


def lacks(target: TargetModel) -> tuple[Lack, ...]:
    """What leaves a record without a form in STIX: `object_of` gives None for the same ones."""
    if target.name == "stix-object":
        return (Lack("of a type without a form in STIX 2.1"),)
    if target.name == "observable":
        return (
            Lack("without a value or its kind", absent=(("value",), ("value_type",))),
            Lack("of a kind without an observable in STIX 2.1", kinds=_KINDS),
        )
    if target.name == "indicator":
        return (
            Lack(
                "without a pattern, or a value and its kind to make one of",
                absent=(("pattern", "value"), ("pattern", "value_type")),
            ),
        )
    names = ("name", "cve") if target.name == "vulnerability" else ("name",)
    # STIX 2.1 §5.2: what is sighted is a domain object, and no observable.
    of = (Lack("of an observable, of which STIX 2.1 has no sightings", of=("sighting_of_ref", _OBSERVED)),)
    return (of if target.name == "sighting" else ()) + tuple(
        Lack(f"without {need}, which STIX 2.1 requires", absent=(names if need == "name" else (need,),))
        for need in _needs(target)
    )


def write(target: TargetModel, batches: Rows) -> Iterator[bytes]:
    """One bundle."""
    return bundle([(target, batches)])


def bundle(parts: list[tuple[TargetModel, Rows]], id: str = "") -> Iterator[bytes]:
    """One bundle of all parts, an object a line. An empty one has no `objects`, as STIX 2.1 §8 asks."""
    for target, _ in parts:
        refuse(target)
    return _bundle(parts, id or f"bundle--{uuid.uuid4()}")


def _bundle(parts: list[tuple[TargetModel, Rows]], id: str) -> Iterator[bytes]:
    opening = f'{{"type":"bundle","id":"{id}","objects":[\n'.encode()
    for target, batches in parts:
        for row in dictionaries(batches):
            text = object_of(target, row)
            if text is not None:
                yield opening + text
                opening = b",\n"
    yield b"\n]}\n" if opening == b",\n" else f'{{"type":"bundle","id":"{id}"}}\n'.encode()


def object_of(target: TargetModel, row: dict[str, Any]) -> bytes | None:
    """A record as a STIX object's JSON; None where STIX would refuse it for want of a required property."""
    text = row.get("object")
    if isinstance(text, str):
        came = embedded(text)
        if _is_whole(came, row):
            refs = _marked(came.get("object_marking_refs"), row)
            if refs != (came.get("object_marking_refs") or []):
                return orjson.dumps({**came, "object_marking_refs": refs})
            return text.replace("\n", " ").encode() if "\n" in text else text.encode()
    made = _made(target, row)
    return None if made is None else orjson.dumps(made, default=str)


def made_here(row: dict[str, Any]) -> bool:
    """Whether the object that a record leaves as is of our making, and not as somebody else made it."""
    text = row.get("object")
    return not (isinstance(text, str) and _is_whole(embedded(text), row))


def _is_whole(came: Any, row: dict[str, Any]) -> bool:
    return isinstance(came, dict) and came.get("id") == row["id"] and bool(came.get("type"))


def _marked(came: Any, row: dict[str, Any]) -> list[str]:
    """An object's markings: those it came with and those of its record, and no TLP below the record's."""
    given = [ref for ref in came if isinstance(ref, str)] if isinstance(came, list) else []
    refs = list(dict.fromkeys([*given, *(row.get("object_marking_refs") or ())]))
    # Of a marking definition the field says what it means, not how it is marked.
    own = str(row.get("id", "")).startswith("marking-definition--")
    least = -1 if own else _STRICT.get(row.get("tlp") or "", -1)
    if least <= max((_STRICT[MARKINGS[ref]] for ref in refs if ref in MARKINGS), default=-1):
        return refs
    return [*(ref for ref in refs if ref not in MARKINGS), _TLP[row["tlp"]]]


def _made(target: TargetModel, row: dict[str, Any]) -> dict[str, Any] | None:
    if target.name == "stix-object":
        return None
    if target.name == "observable":
        return _observable(row)
    if str(row.get("sighting_of_ref") or "").startswith(_OBSERVED):
        return None
    given = _properties(target, row)
    made: dict[str, Any] = {
        "type": target.name,
        "spec_version": "2.1",
        "id": _id(target.name, str(row["id"])),
    }
    created = row.get("created") or row.get("modified") or row.get("valid_from") or row.get("first_seen")
    created = created or datetime(1970, 1, 1)
    made["created"] = moment(created)
    if target.name != "marking-definition":
        made["modified"] = moment(max(row.get("modified") or created, created))
    made |= {name: found for name, found in given.items() if name not in made}
    made = {**_MEANT.get(target.name, {}), **made}
    if target.name == "indicator" and not _indicator(made, row, created):
        return None
    if target.name == "vulnerability":
        _vulnerability(made, row)
    if refs := _marked(None, row):
        made["object_marking_refs"] = refs
    if target.name != "indicator" and any(made.get(name) in (None, "", []) for name in _needs(target)):
        return None
    return made


def _needs(target: TargetModel) -> tuple[str, ...]:
    return _NEEDS.get(target.name, ("name",) if any(f.name == "name" for f in target.fields) else ())


def _properties(target: TargetModel, row: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for field in _taken(target):
        if row.get(field.name) in (None, "", []):
            continue
        found[field.name] = value(row[field.name], field.type)
        if field.type is FieldType.JSON and isinstance(found[field.name], str):
            del found[field.name]
    if not 0 <= int(found.get("confidence", 0)) <= 100:
        del found["confidence"]
    for name in ("kill_chain_phases", "external_references"):
        if not _well_formed(name, found.get(name)):
            found.pop(name, None)
    return found


def _taken(target: TargetModel) -> tuple[TargetField, ...]:
    """The fields of a target model that are properties of the STIX type."""
    if target.name not in _TAKEN:
        left_out = (_OURS | _NOT_OF_TYPE.get(target.name, set())) - _KEPT.get(target.name, set())
        _TAKEN[target.name] = tuple(f for f in target.fields if f.name not in left_out)
    return _TAKEN[target.name]


_TAKEN: dict[str, tuple[TargetField, ...]] = {}


def _well_formed(name: str, listed: Any) -> bool:
    needs = {"kill_chain_phases": ("kill_chain_name", "phase_name"), "external_references": ("source_name",)}[
        name
    ]
    return (
        isinstance(listed, list)
        and bool(listed)
        and all(isinstance(each, dict) and all(each.get(need) for need in needs) for each in listed)
    )


def _id(kind: str, id: str) -> str:
    if _ID.fullmatch(id) and id.startswith(f"{kind}--"):
        return id
    return f"{kind}--{uuid.uuid5(INDICATORS, f'{kind}:{id}')}"


def _indicator(made: dict[str, Any], row: dict[str, Any], created: datetime) -> bool:
    pattern = row.get("pattern") or pattern_of(row.get("value_type"), row.get("value"))
    if not pattern:
        return False
    made["pattern"] = pattern
    made["pattern_type"] = row.get("pattern_type") or "stix"
    since = row.get("valid_from") or row.get("first_seen") or created
    made["valid_from"] = moment(since)
    until = row.get("valid_until")
    if until is None or until <= since:
        made.pop("valid_until", None)
    if "external_references" not in made and row.get("source"):
        made["external_references"] = [{"source_name": row["source"]}]
    return True


def pattern_of(kind: str | None, value: str | None) -> str | None:
    """The STIX pattern of a single value, as `engine.types.pattern_from` writes it in SQL."""
    if not kind or not value:
        return None
    quoted = value.replace("\\", "\\\\").replace("'", "\\'")
    if kind in WRITTEN:
        return f"[{WRITTEN[kind]} = '{quoted}']"
    if kind == "cidr":
        return f"[ipv{6 if ':' in value else 4}-addr:value = '{quoted}']"
    if kind == "asn" and (digits := re.search(r"\d+", value)):
        return f"[autonomous-system:number = {digits[0]}]"
    return f"[x-{re.sub('[^a-z0-9]+', '-', kind.lower()).strip('-') or 'value'}:value = '{quoted}']"


def _vulnerability(made: dict[str, Any], row: dict[str, Any]) -> None:
    if row.get("cve"):
        made.setdefault("name", row["cve"])
        made.setdefault("external_references", [{"source_name": "cve", "external_id": row["cve"]}])


def _observable(row: dict[str, Any]) -> dict[str, Any] | None:
    kind, text = row.get("value_type"), row.get("value")
    if not kind or not text:
        return None
    if kind in _OBSERVABLE:
        body: dict[str, Any] = {"value": text}
        type_ = _OBSERVABLE[kind]
    elif kind in _HASHES:
        type_, body = "file", {"hashes": {_HASHES[kind]: text}}
    elif kind == "filename":
        type_, body = "file", {"name": text}
    elif kind == "asn" and text.upper().lstrip("AS").isdigit():
        type_, body = "autonomous-system", {"number": int(text.upper().lstrip("AS"))}
    elif kind == "mutex":
        type_, body = "mutex", {"name": text}
    elif kind == "registry-key":
        type_, body = "windows-registry-key", {"key": text}
    else:
        return None
    # STIX 2.1 §2.9: contributing properties in canonical JSON; these have one each, so plain JSON is canonical.
    contributing = orjson.dumps(body, option=orjson.OPT_SORT_KEYS).decode()
    return {
        "type": type_,
        "spec_version": "2.1",
        "id": f"{type_}--{uuid.uuid5(OBSERVABLES, contributing)}",
        **body,
        **({"object_marking_refs": refs} if (refs := _marked(None, row)) else {}),
    }
