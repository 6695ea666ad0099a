"""A target model made from a source: tidy names, types and kinds its values bear out, and a key that is unique."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from engine import types
from engine.model import FieldType, TargetField, TargetModel
from engine.profile import Column, Profile
from engine.suggest.chain import separator

# So much of a column must be of a type before a model demands it of all that comes.
_SURE = 0.97
_ID = re.compile(r"(^|_)(id|uuid|guid|key|ref|number|no|ticket)$")
_VERSION = frozenset({"modified", "updated", "updated_at", "modified_at", "last_modified", "last_updated"})
_PLAIN = {
    "integer": FieldType.INTEGER,
    "number": FieldType.DECIMAL,
    "boolean": FieldType.BOOLEAN,
    "date": FieldType.DATE,
    "timestamp": FieldType.TIMESTAMP,
    "json": FieldType.JSON,
}


@dataclass(frozen=True)
class Proposal:
    """A model, and for each of its fields the source field it is made of and why it is as it is."""

    model: TargetModel
    sources: dict[str, str]
    reasons: dict[str, str]


def propose_model(profile: Profile, name: str, title: str, pairs: Sequence[tuple[str, str]] = ()) -> Proposal:
    """The model; `pairs` are source fields that are unique only together, for where no field is alone."""
    fields: list[TargetField] = []
    sources: dict[str, str] = {}
    reasons: dict[str, str] = {}
    for column in profile.columns:
        tidied = tidy(column.name, sources)
        sources[tidied] = column.name
        field, why = _field(column, tidied)
        fields.append(field)
        reasons[tidied] = why
    of = {source: tidied for tidied, source in sources.items()}
    key, why = _key(profile, fields, of, pairs)
    fields = [f.model_copy(update={"required": True}) if f.name in key else f for f in fields]
    for each in key:
        reasons[each] = f"{why}; {reasons[each]}"
    version = next((f.name for f in fields if f.name in _VERSION and f.type is FieldType.TIMESTAMP), None)
    model = TargetModel(
        name=tidy(name, {}).replace("_", "-"), title=title, fields=tuple(fields), key=key, version=version
    )
    return Proposal(model, sources, reasons)


def tidy(name: str, taken: object = ()) -> str:
    """A field's name from a header: lower case, words apart by `_`, in ASCII, and not one of those taken."""
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    text = unicodedata.normalize("NFKD", text.replace("ß", "ss").replace("%", " percent "))
    text = re.sub(r"[^a-z0-9]+", "_", text.encode("ascii", "ignore").decode().lower()).strip("_")
    text = (text if text[:1].isalpha() else f"field_{text}".rstrip("_"))[:58]
    found, number = text, 2
    while found in taken:  # type: ignore[operator]
        found, number = f"{text}_{number}", number + 1
    return found


def _field(column: Column, name: str) -> tuple[TargetField, str]:
    full = bool(column.rows) and column.filled == column.rows
    base = TargetField(name=name, title=column.name if column.name != name else "", required=False)
    why = column.evidence if column.filled else "no values yet, so text"
    if full:
        why += ", never empty"
    if column.type in types.KINDS and column.share >= _SURE:
        return base.model_copy(update={"kind": column.type}), why
    if column.type == "indicator" and column.share >= _SURE:
        return base.model_copy(update={"kind": "indicator"}), why
    if column.type == "tlp" and column.share >= _SURE:
        return base.model_copy(update={"vocabulary": "tlp"}), why
    if column.leading_zeros:
        return base, f"text, because {column.leading_zeros:,} values begin with a zero"
    if column.mangled:
        return base, f"text, because {column.mangled:,} values were mangled by a spreadsheet"
    kind = _PLAIN.get(column.type)
    if kind is not None and column.share >= _SURE:
        if column.ambiguous_dates:
            why += ", day and month undecided"
        return base.model_copy(update={"type": kind}), why
    mark = separator(column) if column.type == "text" else None
    if mark is not None and mark not in (" ", " / "):
        return base.model_copy(update={"type": FieldType.TEXTS}), f"lists, parted by “{mark}”"
    return base, why if column.share >= _SURE or column.type == "text" else f"text, because only {why}"


def _key(
    profile: Profile, fields: Sequence[TargetField], of: dict[str, str], pairs: Sequence[tuple[str, str]]
) -> tuple[tuple[str, ...], str]:
    """The fields that tell records apart: one that is called so, any that is unique, two together, or all."""
    alone = [c for c in profile.columns if c.rows and c.distinct >= c.rows and c.filled == c.rows]
    if alone:
        best = min(
            alone,
            key=lambda c: (not _ID.search(of[c.name]), c.type in ("number", "timestamp"), c.longest > 100),
        )
        return (of[best.name],), f"key: all {best.rows:,} values differ"
    if pairs:
        return tuple(of[name] for name in pairs[0]), "key: unique together"
    return tuple(f.name for f in fields), "key: nothing less is unique"
