"""Subqueries stacked on the source so that a value used twice is computed once.

DuckDB keeps projections apart: what a layer names, the layers above read as a column. Values of a
chain go one layer higher each time they are named; every layer carries on all below it.
"""

from __future__ import annotations

from sqlglot import exp

from engine.steps.tree import Expr, column

PREFIX = "_spire_"


class Layers:
    """The layers of one branch, filled while its fields are compiled."""

    def __init__(self, inline: bool = False) -> None:
        """`inline` writes values out in full instead of naming them, for SQL a person is to read."""
        self.inline = inline
        self._layers: list[list[exp.Expression]] = []
        self._known: dict[tuple[int, str], tuple[Expr, int]] = {}
        self._count = 0

    def name(self, value: Expr, depth: int) -> tuple[Expr, int]:
        """The value as a column, and the depth from which it is seen; the same value is named once."""
        if isinstance(value, exp.Column) or self.inline:
            return value, depth
        written = value.sql(dialect="duckdb")
        if (depth, written) not in self._known:
            self._count += 1
            label = f"{PREFIX}{self._count}"
            while len(self._layers) <= depth:
                self._layers.append([])
            self._layers[depth].append(exp.alias_(value, label, quoted=True))
            self._known[depth, written] = (column(label), depth + 1)
        named, depth = self._known[depth, written]
        return named.copy(), depth

    @property
    def height(self) -> int:
        """How many layers stand on the source."""
        return len(self._layers)

    def over(self, relation: exp.Select) -> exp.Select:
        """All layers on top of a relation that offers the source columns."""
        for number, layer in enumerate(self._layers, 1):
            relation = exp.select(exp.Star(), *layer, copy=False).from_(
                relation.subquery(f"_{number}"), copy=False
            )
        return relation
