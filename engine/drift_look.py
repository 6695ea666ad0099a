"""A look at a source: what its fields held in the rows that were looked at, as counts and hashes of values."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from engine.drift_types import fits, tag
from engine.model import Data

# Of each field's values the smallest hashes are kept: enough to tell what share of other values is among them.
MARKS = 64
EXAMPLES = 3
LONGEST_EXAMPLE = 120
# So much of the values must be of a type for it to be the field's.
OF_TYPE = 0.95
# Beyond so many rows the past counts half, so that what is known follows what the source is now.
REMEMBERED_ROWS = 200_000
# An object with more different keys than this holds data in its keys; they are no fields.
MOST_KEYS = 40
_TYPES = ("integer", "number", "boolean", "time", "list", "object", "hash", "address", "url", "text")


class FieldLook(Data):
    """What a field held: in how many rows it had a value, of what types, and which.

    `marks` are the smallest hashes of its values in order, all of them where they are fewer than `MARKS`.
    `missed` is the most rows looked at in one run that had none. `path` is where it stands in an object.
    """

    name: str
    path: tuple[str, ...] = ()
    filled: int = 0
    tags: dict[str, int] = {}
    marks: tuple[int, ...] = ()
    missed: int = 0
    examples: tuple[str, ...] = ()

    @property
    def type(self) -> str:
        """The narrowest type that nearly all values have; `nothing` where there are none."""
        if not self.filled:
            return "nothing"
        for type in _TYPES:
            if sum(n for name, n in self.tags.items() if fits(type, name)) >= OF_TYPE * self.filled:
                return type
        return "text"

    def merged(self, other: FieldLook) -> FieldLook:
        """Both together."""
        tags = Counter(self.tags)
        tags.update(other.tags)
        return self.model_copy(
            update={
                "filled": self.filled + other.filled,
                "tags": dict(tags),
                "marks": _smallest({*self.marks, *other.marks}),
                "examples": self.examples or other.examples,
            }
        )


class Look(Data):
    """What was seen of a source in so many rows.

    `certain` says that the fields are columns with a header: a name that is not among them is not there.
    `maps` are fields whose keys are data, so that what stands below them is no field.
    """

    rows: int = 0
    certain: bool = False
    fields: tuple[FieldLook, ...] = ()
    maps: tuple[str, ...] = ()

    def merged(self, found: Look) -> Look:
        """What is known after another look at the same source."""
        before, after = {f.name: f for f in self.fields}, {f.name: f for f in found.fields}
        maps = tuple(sorted({*self.maps, *found.maps}))
        fields = []
        for name in dict.fromkeys((*before, *after)):
            one, other = before.get(name), after.get(name)
            if below(name, (one or other), maps):  # type: ignore[arg-type]
                continue
            both = one.merged(other) if one and other else one or other
            assert both is not None  # noqa: S101  one of them is there
            if found.rows and (other is None or not other.filled):
                both = both.model_copy(update={"missed": max(both.missed, found.rows)})
            fields.append(both)
        whole = Look(
            rows=self.rows + found.rows,
            certain=self.certain or found.certain,
            fields=tuple(fields),
            maps=maps,
        )
        return whole if whole.rows <= REMEMBERED_ROWS else _halved(whole)


def below(name: str, field: FieldLook, maps: Iterable[str]) -> bool:
    """Whether a field stands inside one whose keys are data."""
    return len(field.path) > 1 and field.path[0] in set(maps) and name != field.path[0]


@dataclass
class _Counting:
    path: tuple[str, ...]
    filled: int = 0
    tags: Counter[str] = field(default_factory=Counter)
    marks: set[int] = field(default_factory=set)
    examples: list[str] = field(default_factory=list)


class Looking:
    """A look being taken: rows are added as they come, each a name-to-text dictionary."""

    def __init__(self) -> None:
        self.rows = 0
        self.columns: dict[str, None] | None = None
        self._fields: dict[str, _Counting] = {}

    def header(self, columns: Sequence[str]) -> None:
        """Say which columns the rows have; then names are certain."""
        self.columns = {**(self.columns or {}), **dict.fromkeys(columns)}

    def add(self, row: dict[str, tuple[tuple[str, ...], str | None]]) -> None:
        """Add a row: path and text of each field by name."""
        self.rows += 1
        for name, (path, value) in row.items():
            counting = self._fields.get(name)
            if counting is None:
                counting = self._fields[name] = _Counting(path)
            text = value.strip() if value else ""
            tagged = tag(text)
            if not tagged:
                continue
            counting.filled += 1
            counting.tags[tagged] += 1
            counting.marks.add(zlib.crc32(text.encode("utf-8", "surrogatepass")))
            if len(counting.marks) > 4 * MARKS:
                counting.marks = set(_smallest(counting.marks))
            if len(counting.examples) < EXAMPLES and text[:LONGEST_EXAMPLE] not in counting.examples:
                counting.examples.append(text[:LONGEST_EXAMPLE])

    def look(self) -> Look:
        """What was seen so far."""
        fields = {name: self._fields.get(name) or _Counting(()) for name in self.columns or ()} | self._fields
        keys = Counter(c.path[0] for c in fields.values() if len(c.path) > 1)
        maps = tuple(sorted(name for name, count in keys.items() if count > MOST_KEYS))
        looks = [
            FieldLook(
                name=name, path=c.path, filled=c.filled, tags=dict(c.tags), marks=_smallest(c.marks),
                examples=tuple(c.examples),
            )
            for name, c in fields.items()
        ]  # fmt: skip
        kept = tuple(each for each in looks if not below(each.name, each, maps))
        return Look(rows=self.rows, certain=self.columns is not None, fields=kept, maps=maps)


def _smallest(marks: Iterable[int]) -> tuple[int, ...]:
    return tuple(sorted(marks)[:MARKS])


def _halved(look: Look) -> Look:
    fields = tuple(
        f.model_copy(
            update={
                "filled": (f.filled + 1) // 2,
                "tags": {name: (n + 1) // 2 for name, n in f.tags.items()},
                "missed": f.missed // 2,
            }
        )
        for f in look.fields
    )
    return look.model_copy(update={"rows": look.rows // 2, "fields": fields})
