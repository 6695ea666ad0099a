"""Mappings of MISP rows: attributes become indicators or observables, events reports, all else what it is in STIX.

`to_ids` decides: false means context, which must never end up in a block list. Sightings, references and the
clusters of galaxies become sightings, relationships and the objects MISP's own conversion makes of them, under
the same ids; what has no counterpart stays whole.

Rows are what the MISP reader gives: `row` says what they are, attributes carry their event's uuid and
name, and `parts` is the list of {type, value} a composite (`filename|sha1`) was taken apart into.
"""

from __future__ import annotations

from engine.model import FieldMapping, Mapping, Step
from engine.types.identity import INDICATORS
from engine.types.vocabularies.misp import GALAXIES, TYPES


def _take(field: str, source: str, *steps: Step) -> FieldMapping:
    return FieldMapping(field=field, source=source, steps=steps)


def _path(path: str) -> Step:
    return Step(step="json_path", options={"path": path})


_KIND = Step(step="map", options={"values": dict(TYPES), "otherwise": "keep"})
_EPOCH = Step(step="parse_date", options={"formats": "epoch"})
_MOMENT = Step(step="parse_date", options={"formats": "iso"})
_TEXTS = Step(step="texts")
_TLP = (
    "CASE "
    + " ".join(
        f"WHEN contains(lower(tags), 'tlp:{word}\"') THEN '{name}'"
        for word, name in (
            ("red", "RED"), ("amber+strict", "AMBER+STRICT"), ("amber", "AMBER"), ("green", "GREEN"), ("clear", "CLEAR"), ("white", "CLEAR"),
        )
    )
    + " END"
)  # fmt: skip


def _uuid5(namespace: str, name: str) -> str:
    """SQL of UUIDv5, in functions a mapping may use."""
    digest = f"sha1(concat(unhex(replace({namespace}, '-', '')), encode({name})))"
    return (
        f"concat(substr({digest}, 1, 8), '-', substr({digest}, 9, 4), '-5', substr({digest}, 14, 3), '-', "
        f"translate(substr({digest}, 17, 1), '0123456789abcdef', '89ab89ab89ab89ab'), "
        f"substr({digest}, 18, 3), '-', substr({digest}, 21, 12))"
    )


_WORD = "json_extract_string(parts, '$.type')"
_SAID = "json_extract_string(parts, '$.value')"
# MISP has one word for addresses of both kinds and for networks.
_TYPE = (
    f"CASE WHEN {_WORD} NOT IN ('ip-src', 'ip-dst', 'ip') THEN {_WORD} WHEN contains({_SAID}, '/') THEN 'cidr' "
    f"WHEN contains({_SAID}, ':') THEN 'ipv6' ELSE 'ipv4' END"
)
_SEVERITY = Step(
    step="map", options={"values": {"1": "high", "2": "medium", "3": "low"}, "otherwise": "null"}
)
# What has a uuid keeps it. The parts of a composite get UUIDv5 of what they say, in their attribute's uuid as
# namespace; what has none, in ours: the same file gives the same ids.
_OWN = f"coalesce(nullif(uuid, ''), {_uuid5(repr(str(INDICATORS)), '_raw')})"
_COMPOSITE = "contains(type, '|') OR type = 'malware-sample' AND contains(value, '|')"
_NAMESPACE = f"coalesce(nullif(uuid, ''), {str(INDICATORS)!r})"
_PART = f"CASE WHEN {_COMPOSITE} THEN {_uuid5(_NAMESPACE, 'parts')} ELSE {_OWN} END"


def _attribute(target: str, where: str, *more: FieldMapping) -> Mapping:
    """An attribute as records of `target`, one for each part of a composite; a value of no kind we know stays as it is."""
    known = Step(step="canonical", options={"kind": "indicator", "on_failure": "keep"})
    return Mapping(
        target=target,
        where=where,
        explode="parts",
        fields=(
            FieldMapping(field="id", sql=f"concat('{target}--', {_PART})"),
            FieldMapping(field="type", constant=target),
            _take("value", "parts", _path("$.value"), known),
            FieldMapping(field="value_type", sql=_TYPE, steps=(_KIND,)),
            _take("modified", "timestamp", _EPOCH),
            _take("labels", "tags", _TEXTS),
            _take("revoked", "deleted"),
            _take("object", "_raw"),
            *more,
        ),
    )


def misp_mappings() -> tuple[Mapping, ...]:
    """Attributes to `indicator` where MISP says to detect by them, else to `observable`; events to `report`."""
    indicator = _attribute(
        "indicator",
        "row = 'attribute' AND to_ids IN ('true', '1', 'True')",
        _take("original", "parts", _path("$.value")),
        _take("name", "event_info"),
        _take("description", "comment"),
        _take("indicator_types", "category", _TEXTS),
        _take("valid_from", "timestamp", _EPOCH),
        _take("first_seen", "first_seen", _MOMENT),
        _take("last_seen", "last_seen", _MOMENT),
        _take("severity", "event_threat_level_id", _SEVERITY),
        _take("source", "event_orgc"),
        FieldMapping(field="tlp", sql=_TLP),
    )
    observable = _attribute("observable", "row = 'attribute'")
    event = Mapping(
        target="report",
        where="row = 'event'",
        fields=(
            FieldMapping(field="id", sql=f"concat('report--', {_OWN})"),
            FieldMapping(field="type", constant="report"),
            _take("name", "info"),
            _take("modified", "timestamp", _EPOCH),
            _take("published", "date", _MOMENT),
            _take("labels", "tags", _TEXTS),
            _take("object", "_raw"),
        ),
    )
    other = Mapping(
        target="stix-object",
        fields=(
            FieldMapping(field="id", sql=f"concat('x-misp-', row, '--', {_OWN})"),
            FieldMapping(field="type", sql="concat('x-misp-', row)"),
            FieldMapping(field="name", sql="coalesce(name, value)"),
            FieldMapping(field="description", sql="coalesce(nullif(comment, ''), description, content)"),
            _take("modified", "timestamp", _EPOCH),
            _take("labels", "tags", _TEXTS),
            _take("revoked", "deleted"),
            _take("object", "_raw"),
        ),
    )
    return indicator, observable, event, _sighting(), _reference(), *map(_cluster, _CLUSTERS), other


def _became(uuid: str, detects: str) -> str:
    """SQL of the id of the record that an attribute became."""
    return f"concat(CASE WHEN {detects} IN ('true', '1', 'True') THEN 'indicator' ELSE 'observable' END, '--', {uuid})"


def _sighting() -> Mapping:
    """That an attribute was seen; that it was a false positive, or is over, stands in the labels."""
    words = {"0": "sighting", "1": "false-positive", "2": "expiration"}
    said = Step(step="map", options={"values": words, "otherwise": "keep"})
    return Mapping(
        target="sighting",
        where="row = 'sighting'",
        fields=(
            FieldMapping(field="id", sql=f"concat('sighting--', {_OWN})"),
            FieldMapping(field="type", constant="sighting"),
            FieldMapping(field="sighting_of_ref", sql=_became("attribute_uuid", "attribute_to_ids")),
            FieldMapping(field="count", sql="CASE WHEN coalesce(type, '0') = '0' THEN 1 ELSE 0 END"),
            _take("first_seen", "date_sighting", _EPOCH),
            _take("last_seen", "date_sighting", _EPOCH),
            _take("modified", "date_sighting", _EPOCH),
            _take("description", "source"),
            _take("labels", "type", said, _TEXTS),
            _take("object", "_raw"),
        ),
    )


def _reference() -> Mapping:
    """What an object says of another, or of an attribute."""
    to = (
        "CASE WHEN referenced_to_ids IS NULL THEN concat('x-misp-object--', referenced_uuid) "
        f"ELSE {_became('referenced_uuid', 'referenced_to_ids')} END"
    )
    return Mapping(
        target="relationship",
        where="row = 'reference'",
        fields=(
            FieldMapping(field="id", sql=f"concat('relationship--', {_OWN})"),
            FieldMapping(field="type", constant="relationship"),
            _take("relationship_type", "relationship_type"),
            FieldMapping(field="source_ref", sql="concat('x-misp-object--', object_uuid)"),
            FieldMapping(field="target_ref", sql=to),
            _take("description", "comment"),
            _take("modified", "timestamp", _EPOCH),
            _take("revoked", "deleted"),
            _take("object", "_raw"),
        ),
    )


# Types that clusters become, and the fields of each that a cluster has something for.
_CLUSTERS = tuple(dict.fromkeys(GALAXIES.values()))
_ALSO = {
    **dict.fromkeys(("attack-pattern", "malware", "tool"), ("aliases", "external_id")),
    "course-of-action": ("external_id",),
    **dict.fromkeys(("intrusion-set", "threat-actor", "campaign"), ("aliases",)),
}


def _cluster(target: str) -> Mapping:
    """A cluster of a galaxy as the object that it is in STIX."""
    more = {
        "aliases": _take("aliases", "meta", _path("$.synonyms"), _TEXTS),
        "external_id": FieldMapping(
            field="external_id",
            sql="coalesce(json_extract_string(meta, '$.external_id[0]'), json_extract_string(meta, '$.external_id'))",
        ),
    }
    return Mapping(
        target=target,
        where=f"row = 'galaxy-cluster' AND known_as = '{target}'",
        fields=(
            FieldMapping(field="id", sql=f"concat('{target}--', {_OWN})"),
            FieldMapping(field="type", constant=target),
            _take("name", "value"),
            _take("description", "description"),
            *(more[name] for name in _ALSO.get(target, ())),
            _take("labels", "galaxy_name", _TEXTS),
            _take("object", "_raw"),
        ),
    )
