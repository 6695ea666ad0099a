"""Mappings of whole STIX objects, 2.0 and 2.1: one for each type, and one that takes all others.

Rows are objects: a source field for each top-level property and `_raw` with the object's text. Every
property not mapped to a field of its own is kept in `object`, so nothing is lost.
"""

from __future__ import annotations

from collections.abc import Iterator

from engine.model import FieldMapping, FieldType, Mapping, Step, TargetModel
from engine.targets.indicator import INDICATOR
from engine.targets.objects import OBJECTS
from engine.types.vocabularies.tlp import EXTENSION, MARKINGS

# STIX 2.1 §6: cyber observables, top-level objects since 2.1.
OBSERVABLE_TYPES = (
    "artifact", "autonomous-system", "directory", "domain-name", "email-addr", "email-message", "file", "ipv4-addr",
    "ipv6-addr", "mac-addr", "mutex", "network-traffic", "process", "software", "url", "user-account",
    "windows-registry-key", "x509-certificate",
)  # fmt: skip

# Fields of ours that no STIX property gives; a mapping below may say how they come about.
_OWN: dict[str, set[str]] = {
    "indicator": {
        "value", "value_type", "original", "observables", "first_seen", "last_seen", "tlp", "severity", "score", "source", "threat",
        "threat_actor", "port", "protocol", "country", "asn", "status",
    },
    "vulnerability": {"cve", "severity", "score", "vector", "cwe", "vendor", "product", "published", "due", "exploited"},
    "incident": {"severity", "status"},
    "threat-actor": {"country"},
    "attack-pattern": {"external_id"}, "course-of-action": {"external_id"}, "malware": {"external_id"}, "tool": {"external_id"},
    "marking-definition": {"tlp"},
    "observable": {"value", "value_type"},
}  # fmt: skip

# The strictest marking counts; one that isn't TLP says nothing, and nothing is never CLEAR.
_TLP = (
    "CASE "
    + " ".join(
        f"WHEN contains(object_marking_refs, '{marking}') THEN '{name}'"
        for colour in ("RED", "AMBER+STRICT", "AMBER", "GREEN", "CLEAR")
        for marking, name in MARKINGS.items()
        if name == colour
    )
    + " END"
)
_OBSERVABLE_NAMES = "coalesce(value, name, path, key, display_name, account_login, user_id, subject, serial_number, command_line, number)"
_HASHES = tuple(
    # DuckDB lifts what two TRYs share out of both, so it must not raise in the first place.
    (kind, f"CASE WHEN json_valid(hashes) THEN json_extract_string(hashes, '$.\"{name}\"') END")
    for kind, name in (("sha256", "SHA-256"), ("sha1", "SHA-1"), ("md5", "MD5"))
)


def _take(field: str, source: str, *steps: Step) -> FieldMapping:
    return FieldMapping(field=field, source=source, steps=steps)


def _special(model: str) -> Iterator[FieldMapping]:
    """The fields that are more than a property of the same name."""
    if model == "indicator":
        known = Step(step="canonical", options={"kind": "indicator", "on_failure": "keep"})
        yield _take("value", "pattern", Step(step="pattern_value"), known)
        yield _take("value_type", "pattern", Step(step="pattern_kind"))
        yield _take("original", "pattern", Step(step="pattern_value"))
        yield _take("observables", "pattern", Step(step="pattern_observables"))
        yield FieldMapping(field="tlp", sql=_TLP)
    elif model == "vulnerability":
        # A name that is no CVE is a name only: told by its shape, so that no row is refused for it.
        yield _take("cve", "name", Step(step="canonical", options={"kind": "cve", "on_failure": "null"}))
    elif model in ("attack-pattern", "course-of-action", "malware", "tool"):
        yield _take(
            "external_id", "external_references", Step(step="json_path", options={"path": "$[0].external_id"})
        )
    elif model == "marking-definition":
        # TLP 2.0 is said in an extension, TLP 1.0 in the definition, and either by the ids the standards give.
        tlp = Step(step="map", options={"vocabulary": "tlp", "otherwise": "null"})
        said = ", ".join(
            f"CASE WHEN json_valid({name}) THEN json_extract_string({name}, '{path}') END"
            for name, path in (("extensions", f'$."{EXTENSION}".tlp_2_0'), ("definition", "$.tlp"))
        )
        yield FieldMapping(field="tlp", sql=f"coalesce({said}, id)", steps=(tlp,))
    elif model == "observable":
        hashes = " ".join(f"WHEN {sql} IS NOT NULL THEN {sql}" for _, sql in _HASHES)
        kinds = " ".join(f"WHEN {sql} IS NOT NULL THEN '{kind}'" for kind, sql in _HASHES)
        yield FieldMapping(field="value", sql=f"coalesce({_OBSERVABLE_NAMES}, CASE {hashes} END)")
        known = Step(step="map", options={"vocabulary": "indicator-kind", "otherwise": "keep"})
        named = f"CASE WHEN {_OBSERVABLE_NAMES} IS NULL THEN coalesce(CASE {kinds} END, type) ELSE type END"
        yield FieldMapping(field="value_type", sql=named, steps=(known,))


def _mapping(model: TargetModel, where: str | None) -> Mapping:
    fields: list[FieldMapping] = []
    own = _OWN.get(model.name, set())
    for one in model.fields:
        if one.name in own:
            continue
        if one.name == "object":
            fields.append(_take("object", "_raw"))
        elif one.type is FieldType.TEXTS:
            fields.append(_take(one.name, one.name, Step(step="texts")))
        else:
            fields.append(_take(one.name, one.name))
    return Mapping(target=model.name, fields=(*fields, *_special(model.name)), where=where)


def stix_mappings() -> tuple[Mapping, ...]:
    """One mapping for each STIX type, commonest first; the last takes every type without a model."""
    models = {model.name: model for model in (INDICATOR, *OBJECTS)}
    first = ("indicator", "relationship", "observable")
    order = [*first, *(name for name in models if name not in (*first, "stix-object"))]
    observable = f"type IN ({', '.join(repr(name) for name in OBSERVABLE_TYPES)})"
    branches = [
        _mapping(models[name], observable if name == "observable" else f"type = '{name}'") for name in order
    ]
    return (*branches, _mapping(models["stix-object"], None))
