"""The steps that values ask for next, told from the values as they stand after the steps there are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.model import FieldType, Step, TargetField
from engine.profile import Column
from engine.profile.shapes import PLACEHOLDERS
from engine.suggest.chain import defanged, separator
from engine.suggest.clusters import fingerprint

_TIME = re.compile(r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?( ?[ap]m)?", re.IGNORECASE)
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}")
_PORT = re.compile(r"[^:/\s]+:\d{1,5}")
_KEY = re.compile(r'\{\s*"([A-Za-z_][A-Za-z0-9_-]*)"\s*:')
_FEW = 120


@dataclass(frozen=True)
class Next:
    """Steps to add at the end of a chain, and what in the values speaks for them."""

    title: str
    why: str
    steps: tuple[Step, ...]


def next_steps(
    field: TargetField, origin: str | None, values: Sequence[str], others: Mapping[str, Sequence[str]]
) -> list[Next]:
    """What the values of a field (as text, none empty) ask for; `others` are the source's other fields."""
    if not values:
        return []
    return [
        *_tidied(values),
        *_parted(field, values),
        *_joined(origin, values, others),
        *_replaced(field, values),
    ]


def _tidied(values: Sequence[str]) -> list[Next]:
    found: list[Next] = []

    def offer(title: str, why: str, hits: int, *steps: Step) -> None:
        if hits:
            found.append(Next(title, f"{hits:,} of {len(values):,} values {why}", steps))

    offer("Trim spaces", "begin or end with a space", sum(v != v.strip() for v in values), Step(step="trim"))
    offer("Collapse spaces", "have runs of spaces", sum("  " in v.strip() for v in values),
          Step(step="collapse_spaces"))  # fmt: skip
    offer("Refang", "are defanged", sum(defanged(v) for v in values), Step(step="refang"))
    blanks = Counter(v.strip().lower() for v in values if v.strip().lower() in PLACEHOLDERS)
    offer("Treat as missing", f"mean nothing: {', '.join(sorted(blanks)[:3])}", blanks.total(),
          Step(step="null_if", options={"values": sorted(blanks)}))  # fmt: skip
    return found


def _parted(field: TargetField, values: Sequence[str]) -> list[Next]:
    found: list[Next] = []
    many = field.type is FieldType.TEXTS
    mark = separator(Column(name="values", rows=len(values), samples=tuple(values)))
    if mark is not None and mark != " ":
        hits = sum(mark in v for v in values)
        options = {"by": mark} if many else {"by": mark, "part": 1}
        title = f"Split at “{mark.strip()}”" + ("" if many else ", take the first")
        found.append(
            Next(title, f"{hits:,} values hold “{mark.strip()}”", (Step(step="split", options=options),))
        )
    ports = sum(bool(_PORT.fullmatch(v.strip())) for v in values)
    if ports:
        split = Step(step="split", options={"by": ":", "part": 1})
        found.append(Next("Split off the port", f"{ports:,} values end in a port", (split,)))
    urls = sum(v.lower().startswith(("http://", "https://")) for v in values)
    if urls and field.kind != "url":
        part = Step(step="url_part", options={"part": "host"})
        found.append(Next("Take the host of the URL", f"{urls:,} values are URLs", (part,)))
    keys = Counter(m[1] for v in values if (m := _KEY.match(v.strip())))
    if keys and field.type is not FieldType.JSON:
        key, hits = keys.most_common(1)[0]
        path = Step(step="json_path", options={"path": f"$.{key}"})
        found.append(Next(f"Take “{key}” from the JSON", f"{hits:,} values are JSON objects", (path,)))
    lists = sum(v.strip().startswith("[") for v in values)
    if lists and many:
        found.append(Next("Read a JSON list", f"{lists:,} values are lists", (Step(step="texts"),)))
    return found


def _joined(origin: str | None, values: Sequence[str], others: Mapping[str, Sequence[str]]) -> list[Next]:
    """A date and, in another field, its time of day."""
    if not all(_DATE.fullmatch(v.strip()) for v in values):
        return []
    times = [
        name
        for name, texts in others.items()
        if name != origin and texts and all(_TIME.fullmatch(t.strip()) for t in texts)
    ]
    return [
        Next(f"Join with {name}", f"{name} holds times of day, and these are dates without one",
             (Step(step="concat", options={"fields": [name], "with": " "}),))
        for name in times[:1]
    ]  # fmt: skip


def _replaced(field: TargetField, values: Sequence[str]) -> list[Next]:
    """Few words in several spellings: a list brings them together."""
    distinct = Counter(v.strip() for v in values)
    if len(distinct) > _FEW:
        return []
    keys = Counter(fingerprint(word) for word in distinct)
    double = sum(count for count in keys.values() if count > 1)
    folded = Counter(word.lower() for word in distinct)
    alike = sum(count for count in folded.values() if count > 1)
    found: list[Next] = []
    if double:
        table = Step(step="map", options={"values": {}, "otherwise": "keep"})
        found.append(Next("Replace by a list", f"{double:,} words are spellings of each other", (table,)))
    if alike and not field.kind:
        found.append(Next("Lower case", f"{alike:,} words differ in case alone", (Step(step="lower"),)))
    return found
