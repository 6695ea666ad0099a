"""Mappings of MISP rows: attributes become indicators, events reports, everything else stays whole.

Rows are what the MISP reader gives: `row` says what they are, attributes carry their event's uuid and
name, and `parts` is the list of {type, value} a composite (`filename|sha1`) was taken apart into.
"""

from __future__ import annotations

from engine.model import FieldMapping, Mapping, Step
from engine.types.vocabularies.misp import TYPES


def _take(field: str, source: str, *steps: Step) -> FieldMapping:
    return FieldMapping(field=field, source=source, steps=steps)


def _path(path: str) -> Step:
    return Step(step="json_path", options={"path": path})


_KIND = Step(step="map", options={"values": {word: kind for word, kind in TYPES.items()}, "otherwise": "keep"})
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


def misp_mappings() -> tuple[Mapping, ...]:
    """Attributes to `indicator` (a row for each part of a composite), events to `report`, the rest to `stix-object`."""
    attribute = Mapping(
        target="indicator",
        where="row = 'attribute'",
        explode="parts",
        fields=(
            # A composite's parts share the attribute's uuid: kind and value tell them apart.
            _take("id", "parts", Step(step="stix_id", options={"kind": "indicator", "within": "uuid"})),
            FieldMapping(field="type", constant="indicator"),
            _take("value", "parts", _path("$.value"), Step(step="canonical", options={"kind": "indicator", "on_failure": "keep"})),
            _take("original", "parts", _path("$.value")),
            _take("value_type", "parts", _path("$.type"), _KIND),
            _take("name", "event_info"),
            _take("description", "comment"),
            _take("indicator_types", "category", _TEXTS),
            _take("modified", "timestamp", _EPOCH),
            _take("valid_from", "timestamp", _EPOCH),
            _take("first_seen", "first_seen", _MOMENT),
            _take("last_seen", "last_seen", _MOMENT),
            _take("labels", "tags", _TEXTS),
            FieldMapping(field="tlp", sql=_TLP),
            _take("revoked", "deleted"),
            _take("object", "_raw"),
        ),
    )
    event = Mapping(
        target="report",
        where="row = 'event'",
        fields=(
            _take("id", "uuid", Step(step="prefix", options={"text": "report--"})),
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
            FieldMapping(field="id", sql="concat('x-misp-', row, '--', uuid)"),
            FieldMapping(field="type", sql="concat('x-misp-', row)"),
            _take("name", "name"),
            _take("description", "comment"),
            _take("modified", "timestamp", _EPOCH),
            _take("object", "_raw"),
        ),
    )
    return attribute, event, other
