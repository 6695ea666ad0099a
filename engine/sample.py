"""Sample: the rows of a relation worth looking at first, strange ones before common ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

import duckdb

from engine.model import Data
from engine.profile import Profile, mask, profile
from engine.profile.shapes import literal, quoted

LIMIT = 200
_ENDS = 5
_EACH = 2
# Masks are looked for among so many rows: a mask is costly, a rare mask in a million rows is an outlier.
_MASKED_ROWS = 20_000


class Picked(Data):
    """A row of the sample: its ordinal, and why it was picked."""

    row: int
    reasons: tuple[str, ...]


class Sample(Data):
    """`picked` of `rows` rows, in the order of the relation."""

    rows: int
    picked: tuple[Picked, ...]

    @property
    def ordinals(self) -> tuple[int, ...]:
        """The row ordinals alone."""
        return tuple(picked.row for picked in self.picked)


def sample(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    fields: Sequence[str],
    *,
    limit: int = LIMIT,
    known: Profile | None = None,
    ordinal: str | None = None,
) -> Sample:
    """Pick at most `limit` rows: the ends, likely rejects, nulls, longest, rare values, each mask, then any.

    Deterministic. `ordinal` numbers the rows from 0 as in `profile`, and must be the same there; with
    `known` (their profile) one cheap scan is enough.
    """
    found = known or profile(connection, relation, fields, ordinal=ordinal)
    if not found.rows or limit <= 0:
        return Sample(rows=found.rows, picked=())
    is_query = relation.lstrip().lower().startswith(("select ", "with ", "from ", "select\n"))
    source = f"({relation})" if is_query else relation
    columns = ", ".join(quoted(name) for name in fields)
    rows = f"(SELECT {ordinal or 'row_number() OVER () - 1'} AS _spire_row, {columns} FROM {source})"
    ends = sorted({*range(min(_ENDS, found.rows)), *range(max(0, found.rows - _ENDS), found.rows)})
    groups: list[list[tuple[int, str]]] = [
        [(row, "among the first rows" if row < _ENDS else "among the last rows") for row in ends],
        _rejects(found, fields),
        *_strange(connection, rows, found, fields),
        _masks(connection, rows, found, fields),
    ]
    picked: dict[int, list[str]] = {}
    for row, reason in _in_turn(groups):
        if row in picked:
            picked[row].append(reason)
        elif len(picked) < limit:
            picked[row] = [reason]
    for row in _any(connection, rows, found.rows, limit):
        if len(picked) >= limit:
            break
        picked.setdefault(row, ["any row"])
    return Sample(
        rows=found.rows,
        picked=tuple(Picked(row=row, reasons=tuple(dict.fromkeys(picked[row]))) for row in sorted(picked)),
    )


def _in_turn(groups: list[list[tuple[int, str]]]) -> Iterator[tuple[int, str]]:
    """One of each group after the other, so that a small limit still shows some of everything."""
    for entries in zip_longest(*groups):
        yield from (entry for entry in entries if entry is not None)


def _rejects(found: Profile, fields: Sequence[str]) -> list[tuple[int, str]]:
    return [
        (outlier.row, f"{name} is not {found.column(name).type}")
        for name in fields
        for outlier in found.column(name).outlier_examples
    ]


def _strange(
    connection: duckdb.DuckDBPyConnection, rows: str, found: Profile, fields: Sequence[str]
) -> list[list[tuple[int, str]]]:
    """Nulls and empties, longest and shortest, rare values: all in one scan of cheap aggregates."""
    wanted: list[tuple[int, str, str]] = []
    for name in fields:
        column, v = found.column(name), quoted(name)
        if 0 < column.nulls < column.rows:
            wanted.append((0, f"{name} is null", f"min(_spire_row, {_EACH}) FILTER ({v} IS NULL)"))
        if column.empties:
            wanted.append((0, f"{name} is empty", f"min(_spire_row, {_EACH}) FILTER ({v} = '')"))
        if column.longest > column.shortest:
            at = f"min(_spire_row, {_EACH}) FILTER (length({v}) = {{}})"
            wanted.append((1, f"{name} is the longest", at.format(column.longest)))
            wanted.append((1, f"{name} is the shortest", at.format(column.shortest)))
        rare = [
            top for top in column.top if top.count <= max(1, column.filled // 1000) and len(top.value) < 500
        ]
        # Where every value is rare, none is.
        if len(rare) < len(column.top):
            wanted += [
                (2, f"{name} is a rare value", f"min(_spire_row, 1) FILTER ({v} = {literal(top.value)})")
                for top in rare
            ]
    groups: list[list[tuple[int, str]]] = [[], [], []]
    for start in range(0, len(wanted), 300):
        some = wanted[start : start + 300]
        answers = (
            connection.execute(f"SELECT {', '.join(sql for _, _, sql in some)} FROM {rows}").fetchone() or ()
        )
        for (group, reason, _), ordinals in zip(some, answers, strict=True):
            groups[group] += [(row, reason) for row in ordinals or ()]
    return groups


def _masks(
    connection: duckdb.DuckDBPyConnection, rows: str, found: Profile, fields: Sequence[str]
) -> list[tuple[int, str]]:
    step = max(1, found.rows // _MASKED_ROWS)
    columns = ", ".join(quoted(name) for name in fields)
    counted = connection.execute(
        f"SELECT c, {mask('v')} AS m, min(_spire_row) AS o, count(*) AS n FROM "
        f"(SELECT * FROM {rows} WHERE hash(_spire_row) % {step} = 0) UNPIVOT (v FOR c IN ({columns})) "
        f"WHERE v <> '' GROUP BY c, m QUALIFY row_number() OVER (PARTITION BY c ORDER BY n DESC, m) <= 8 "
        "ORDER BY c, n, m"
    ).fetchall()
    return [(row, f"{name} looks like {pattern}") for name, pattern, row, _ in counted]


def _any(connection: duckdb.DuckDBPyConnection, rows: str, total: int, limit: int) -> list[int]:
    step = max(1, total // (limit * 4))
    found = connection.execute(
        f"SELECT _spire_row FROM {rows} WHERE hash(_spire_row) % {step} = 0 ORDER BY hash(_spire_row), _spire_row LIMIT {limit}"
    ).fetchall()
    return [row for (row,) in found]
