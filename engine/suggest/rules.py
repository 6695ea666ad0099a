"""Rules that the values of a sample speak for: limits, lists, patterns, order of dates, freshness and number."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping as MappingABC
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from engine.model import FieldType, Mapping, Rule, Severity, TargetField, TargetModel

# Ends people agree on: what is called so goes from 0 to 100.
_HUNDREDS = frozenset({"confidence", "score", "risk_score", "severity_score"})
_FEW = 12
_ENOUGH = 20
# Pairs of which the first is never after the second.
_ORDER = (
    ("valid_from", "valid_until"), ("first_seen", "last_seen"), ("created", "modified"), ("start", "end"),
    ("opened", "closed"), ("first_observed", "last_observed"), ("start_time", "stop_time"),
)  # fmt: skip


@dataclass(frozen=True)
class Proposed:
    """A rule, and what in the values speaks for it."""

    rule: Rule
    why: str


def propose(
    mapping: Mapping, target: TargetModel, rows: Sequence[MappingABC[str, Any]], *, whole: int
) -> list[Proposed]:
    """Rules for a mapping whose sample gave these records; `whole` is how many rows the source has at least."""
    given = [target.field(item.field) for item in mapping.fields]
    found: list[Proposed] = []
    for field in given:
        values = [row[field.name] for row in rows if row.get(field.name) not in (None, "", [])]
        if values:
            found += _on(field, values, len(rows), constant=_constant(mapping, field.name))
    names = {field.name for field in given}
    for early, late in _ORDER:
        if {early, late} <= names and _dated(target, early) and _dated(target, late):
            found.append(_rule("date_order", late, {"after": early}, f"{late} should not be before {early}"))
    newest = [f.name for f in given if _dated(target, f.name) and not _constant(mapping, f.name)]
    if newest and rows:
        found.append(
            _rule(
                "freshness", newest[0], {"within": "7 days"}, "tells when a feed stands still", Severity.WARN
            )
        )
    if whole:
        least = max(1, whole // 2)
        found.append(
            _rule("volume", None, {"min": least}, f"the source has {whole:,} rows or more now", Severity.WARN)
        )
    have = {(r.operator, r.field) for r in mapping.rules}
    return [each for each in found if (each.rule.operator, each.rule.field) not in have]


def _on(field: TargetField, values: Sequence[Any], rows: int, *, constant: bool) -> list[Proposed]:
    found: list[Proposed] = []
    if not field.required and len(values) >= rows * 0.9 and not constant:
        found.append(
            _rule(
                "required", field.name, None, f"{len(values):,} of {rows:,} rows have a value", Severity.WARN
            )
        )
    numbers = [v for v in values if isinstance(v, int | float | Decimal) and not isinstance(v, bool)]
    if numbers and field.name in _HUNDREDS:
        found.append(_rule("range", field.name, {"min": 0, "max": 100}, "a share out of a hundred"))
    elif len(numbers) >= _ENOUGH and min(numbers) >= 0:
        found.append(_rule("range", field.name, {"min": 0}, f"none is below {min(numbers)}"))
    if any(isinstance(v, datetime | date) for v in values):
        found.append(
            _rule("range", field.name, {"min": "1990-01-01"}, "a date before 1990 is most likely an empty one",
                  Severity.WARN)
        )  # fmt: skip
    texts = [v for v in values if isinstance(v, str)]
    if texts and field.type is FieldType.TEXT and not field.vocabulary and not constant:
        found += _on_texts(field, texts)
    return found


def _on_texts(field: TargetField, texts: Sequence[str]) -> list[Proposed]:
    found: list[Proposed] = []
    counts = Counter(texts)
    frequent = [word for word, count in counts.most_common() if count > 1]
    if (
        len(texts) >= _ENOUGH
        and 1 < len(frequent) <= _FEW
        and sum(counts[w] for w in frequent) >= 0.8 * len(texts)
    ):
        found.append(
            _rule(
                "in",
                field.name,
                {"values": sorted(frequent)},
                f"{len(frequent)} words make up nearly all of it",
            )
        )
    elif field.kind is None:
        masks = Counter(_shape(text) for text in texts)
        shape, count = masks.most_common(1)[0]
        if 0.9 * len(texts) <= count and len(texts) >= _ENOUGH and len(set(texts)) > 1 and "\\d" in shape:
            found.append(
                _rule("regex", field.name, {"pattern": shape}, f"{count:,} of {len(texts):,} look like it")
            )
    return found


def _shape(text: str) -> str:
    """A value as a pattern: runs of digits and letters, and other characters as they are."""
    marks = "".join("9" if c.isdigit() else "a" if c.isascii() and c.isalpha() else c for c in text)
    pieces = {"9": r"\d+", "a": "[A-Za-z]+"}
    return "".join(
        pieces.get(m[0][0], re.escape(m[0])) if m[0][0] in pieces else re.escape(m[0])
        for m in re.finditer(r"9+|a+|[^9a]", marks)
    )


def _rule(
    operator: Any, field: str | None, value: Any, why: str, severity: Severity = Severity.QUARANTINE
) -> Proposed:
    id = f"{operator}-{field or 'run'}".replace("_", "-").lower()
    return Proposed(Rule(id=id, operator=operator, field=field, value=value, severity=severity), why)


def _constant(mapping: Mapping, field: str) -> bool:
    return any(item.field == field and item.source is None and item.sql is None for item in mapping.fields)


def _dated(target: TargetModel, name: str) -> bool:
    return target.field(name).type in (FieldType.TIMESTAMP, FieldType.DATE)
