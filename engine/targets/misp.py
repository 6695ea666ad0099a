"""Mappings of MISP rows: attributes become indicators or observables, events reports, all else stays whole.

`to_ids` decides: false means context, which must never end up in a block list.

Rows are what the MISP reader gives: `row` says what they are, attributes carry their event's uuid and
name, and `parts` is the list of {type, value} a composite (`filename|sha1`) was taken apart into.
"""

from __future__ import annotations

from engine.model import FieldMapping, Mapping, Step
from engine.types.identity import INDICATORS
from engine.types.vocabularies.misp import TYPES


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


# What has a uuid keeps it. The parts of a composite get UUIDv5 of what they say, in their attribute's uuid as
# namespace; what has none, in ours: the same file gives the same ids.
_OWN = f"coalesce(uuid, {_uuid5(repr(str(INDICATORS)), '_raw')})"
_COMPOSITE = "contains(type, '|') OR type = 'malware-sample' AND contains(value, '|')"
_PART = (
    f"CASE WHEN {_COMPOSITE} THEN {_uuid5(f'coalesce(uuid, {str(INDICATORS)!r})', 'parts')} ELSE {_OWN} END"
)


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
            _take("value_type", "parts", _path("$.type"), _KIND),
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
            _take("name", "name"),
            _take("description", "comment"),
            _take("modified", "timestamp", _EPOCH),
            _take("object", "_raw"),
        ),
    )
    return indicator, observable, event, other
