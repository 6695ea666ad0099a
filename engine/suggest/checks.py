"""Rules worth having, told from the profile, each with how many rows it would catch now."""

from __future__ import annotations

import re

from engine.model import Data, FieldMapping, FieldType, Mapping, Rule, Severity, TargetField, TargetModel
from engine.profile import Column, Profile

# Earlier and later moment of the same thing.
_ORDER = (
    ("first_seen", "last_seen"),
    ("valid_from", "valid_until"),
    ("created", "modified"),
    ("created", "updated"),
)
_PERCENT = frozenset({"confidence", "score"})
_MASK = {"A": r"\p{Lu}+", "a": r"[\p{Ll}\p{Lo}]+", "9": "[0-9]+", "x": r"[\p{L}0-9]+"}


class SuggestedRule(Data):
    """A rule, why it is worth having, and how many rows break it now (None: only a dry run can tell)."""

    rule: Rule
    reason: str
    catches: int | None = None


def suggest_rules(profile: Profile, mapping: Mapping, target: TargetModel) -> tuple[SuggestedRule, ...]:
    """Rules for the mapped fields; those that catch something first, largest first."""
    found: list[SuggestedRule] = []
    columns = {column.name: column for column in profile.columns}
    for item in mapping.fields:
        if item.source in columns and columns[item.source].filled:
            found += _for_field(item, columns[item.source], target.field(item.field))
    mapped = {item.field for item in mapping.fields}
    for earlier, later in _ORDER:
        if {earlier, later} <= mapped:
            rule = Rule(
                id=_id(later, f"not-before-{earlier}"), operator="date_order", field=later, value={"after": earlier},
                group="business", severity=Severity.WARN, message=f"{later} is before {earlier}",
            )  # fmt: skip
            found.append(SuggestedRule(rule=rule, reason=f"{later} should not be before {earlier}"))
    return tuple(sorted(found, key=lambda one: (-(one.catches or 0), one.rule.id)))


def _id(field: str, what: str) -> str:
    return f"{field}-{what}"[:63].replace("_", "-")


def _for_field(item: FieldMapping, column: Column, field: TargetField) -> list[SuggestedRule]:
    found: list[SuggestedRule] = []
    lacking = column.rows - column.filled
    if not field.required and 0 < lacking <= 0.05 * column.rows:
        rule = Rule(
            id=_id(field.name, "required"), operator="required", field=field.name, group="quality",
            severity=Severity.WARN, message=f"{field.name} is missing",
        )  # fmt: skip
        share = f"{100 * column.filled / column.rows:.1f} %"
        found.append(SuggestedRule(rule=rule, reason=f"{share} of the rows have it", catches=lacking))
    # Only a value that arrives as it stands looks the same in the target as in the profile.
    if item.steps or item.sql:
        return found
    if field.name in _PERCENT and field.type in (FieldType.INTEGER, FieldType.DECIMAL) and column.numbers:
        outside = not (column.numbers.lowest >= 0 and column.numbers.highest <= 100)
        rule = Rule(
            id=_id(field.name, "range"), operator="range", field=field.name, value={"min": 0, "max": 100},
            group="business", message=f"{field.name} is not between 0 and 100",
        )  # fmt: skip
        reason = f"values run from {column.numbers.lowest:g} to {column.numbers.highest:g}"
        found.append(SuggestedRule(rule=rule, reason=reason, catches=None if outside else 0))
    if field.type is FieldType.TEXT and not field.kind and not field.vocabulary:
        found += _words(column, field) or _pattern(column, field)
    return found


def _words(column: Column, field: TargetField) -> list[SuggestedRule]:
    """Few words over many rows are a list of words; what stands hardly ever is left out of it."""
    if (
        column.filled < 100
        or column.distinct > 12
        or len(column.top) > 14
        or column.type not in ("text", "boolean")
    ):
        return []
    usual = [top for top in column.top if top.count >= max(2, 0.005 * column.filled)]
    rest = column.filled + column.placeholders - sum(top.count for top in usual)
    if not usual or rest > 0.05 * column.filled:
        return []
    rule = Rule(
        id=_id(field.name, "words"), operator="in", field=field.name, value={"values": [top.value for top in usual]},
        severity=Severity.WARN, message=f"{field.name} is not one of the usual values",
    )  # fmt: skip
    return [SuggestedRule(rule=rule, reason=f"only {len(usual)} different values are usual", catches=rest)]


def _pattern(column: Column, field: TargetField) -> list[SuggestedRule]:
    """One mask over nearly all rows is how the values are written."""
    if column.filled < 100 or not column.masks or column.masks_of < column.filled:
        return []
    first = column.masks[0]
    if first.count < 0.98 * column.masks_of or not re.search(r"[9x]", first.mask) or " " in first.mask:
        return []
    written = "".join(_MASK.get(character, re.escape(character)) for character in first.mask)
    rule = Rule(
        id=_id(field.name, "form"), operator="regex", field=field.name, value={"pattern": written},
        severity=Severity.WARN, message=f"{field.name} is not written like {first.mask}",
    )  # fmt: skip
    reason = f"{100 * first.count / column.masks_of:.1f} % of the values are written like {first.mask}"
    return [SuggestedRule(rule=rule, reason=reason, catches=column.masks_of - first.count)]
