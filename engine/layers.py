"""Subqueries stacked on the source so that a value used twice is computed once.

DuckDB keeps projections apart: what a layer names, the layers above read as a column. A value stands
in the lowest layer that has all it reads, so two fields that need the same value share it.
"""

from __future__ import annotations

import re

from sqlglot import exp

from engine.steps.tree import Expr, column, sql

PREFIX = "_spire_"
_NAMED = re.compile(rf'"{PREFIX}(\d+)"')


class Layers:
    """The layers of one branch, filled while its fields are compiled."""

    def __init__(self, *, inline: int | None = None) -> None:
        """`inline` is for SQL a person is to read: values up to so many characters are written out, not named."""
        self.inline = inline
        self._layers: list[list[Expr]] = []
        self._known: dict[str, Expr] = {}
        self._layer_of: list[int] = [-1]

    def name(self, value: Expr) -> Expr:
        """The value as a column; the same value gets the same one. Columns and literals stay."""
        if isinstance(value, exp.Column | exp.Literal | exp.Null):
            return value
        written = sql(value)
        if self.inline is not None and len(written) <= self.inline:
            return value
        if written not in self._known:
            read = (int(number) for number in _NAMED.findall(written))
            layer = 1 + max((self._layer_of[n] for n in read if n < len(self._layer_of)), default=-1)
            if len(self._layers) <= layer:
                self._layers.append([])
            label = f"{PREFIX}{len(self._layer_of)}"
            self._layers[layer].append(exp.alias_(value, label, quoted=True))
            self._layer_of.append(layer)
            self._known[written] = column(label)
        return self._known[written].copy()

    @property
    def height(self) -> int:
        """How many layers there are."""
        return len(self._layers)

    def over(self, relation: exp.Select) -> exp.Select:
        """All layers on top of a relation that offers the source columns."""
        for number, layer in enumerate(self._layers, 1):
            below = relation.subquery(f"_{number}", copy=False)
            relation = exp.select(exp.Star(), *layer, copy=False).from_(below, copy=False)
        return relation
