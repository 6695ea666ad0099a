"""Records on their way into a database: rows by their key, a part at a time, and a broken one harms no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import islice
from typing import Any

import orjson

from engine.errors import Stop
from engine.model import FieldType, TargetModel
from engine.ports import Delivered, Outgoing, Refused

PART = 2_000
Row = dict[str, Any]
Put = Callable[[Sequence[Row]], None]


class NotWritable(Stop):
    """This table or collection can't take the records."""


def delivered(
    outgoing: Outgoing, put: Put, refusing: tuple[type[Exception], ...], why: Callable[[Exception], str]
) -> Iterator[Delivered]:
    """Everything that is outgoing, put there part by part.

    `put` takes rows of different keys, all of them or none: where it raises one of `refusing`, the part is
    halved until the rows that can't be taken stand alone, and `why` says why without their content.
    """
    rows = _rows(outgoing)
    while part := list(islice(rows, PART)):
        keyed, refused = dict[tuple[Any, ...], Row](), list[Refused]()
        for row in part:
            key = tuple(row[name] for name in outgoing.key)
            if any(value is None for value in key):
                refused.append(Refused(identity(row, outgoing.key), "It has no key."))
            else:
                # The last of a key is what is to stand there, and one statement takes a key once.
                keyed[tuple(map(str, key))] = row
        refused += _halved(list(keyed.values()), outgoing.key, put, refusing, why)
        yield Delivered(len(part) - len(refused), tuple(refused))


def withdrawn(
    outgoing: Outgoing, remove: Put, refusing: tuple[type[Exception], ...], why: Callable[[Exception], str]
) -> Iterator[Delivered]:
    """What is gone, removed part by part: `remove` gets rows with their key alone, and is asked as `put` is."""
    gone = iter(outgoing.gone)
    while part := list(islice(gone, PART)):
        rows = [_key_of(one.there, outgoing) for one in part]
        refused = _halved(rows, outgoing.key, remove, refusing, why)
        yield Delivered(len(part) - len(refused), tuple(refused))


def _key_of(there: str, outgoing: Outgoing) -> Row:
    """The key a record went under, in its fields' types."""
    values = zip(outgoing.key, orjson.loads(there), strict=True)
    return {name: _AS.get(outgoing.target.field(name).type, str)(value) for name, value in values}


_AS: dict[FieldType, Callable[[Any], Any]] = {
    FieldType.INTEGER: int, FieldType.DECIMAL: Decimal, FieldType.BOOLEAN: lambda value: value == "True",
    FieldType.TIMESTAMP: lambda value: datetime.fromisoformat(value).replace(tzinfo=UTC), FieldType.DATE: date.fromisoformat,
}  # fmt: skip


def identity(row: Row, key: Sequence[str]) -> str:
    """What a person knows a record by."""
    return ", ".join("" if row[name] is None else str(row[name]) for name in key)


def names(target: TargetModel) -> list[str]:
    """The fields of a target model, its columns there."""
    return [field.name for field in target.fields]


def _rows(outgoing: Outgoing) -> Iterator[Row]:
    empty = dict.fromkeys(names(outgoing.target))
    for batch in outgoing.batches():
        there = [name for name in batch.schema.names if name in empty]
        for row in batch.select(there).to_pylist():
            yield {**empty, **row}


def _halved(
    rows: Sequence[Row],
    key: Sequence[str],
    put: Put,
    refusing: tuple[type[Exception], ...],
    why: Callable[[Exception], str],
) -> list[Refused]:
    if not rows:
        return []
    try:
        put(rows)
    except refusing as error:
        if len(rows) == 1:
            return [Refused(identity(rows[0], key), why(error))]
        middle = len(rows) // 2
        return [
            *_halved(rows[:middle], key, put, refusing, why),
            *_halved(rows[middle:], key, put, refusing, why),
        ]
    return []
