"""The few builders every step is written with: sqlglot nodes, never text with a value pasted in."""

from __future__ import annotations

from collections.abc import Iterable

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect

from engine.types.sql import among

Expr = exp.Expr
DUCKDB = Dialect.get_or_raise("duckdb")


def call(name: str, *arguments: Expr | str | int | float | bool | None) -> Expr:
    """A DuckDB function by its own name; plain Python arguments become literals."""
    return exp.Anonymous(this=name, expressions=[tree(a) for a in arguments])


def tree(value: Expr | str | int | float | bool | None) -> Expr:
    """A value as a node: nodes stay, Python scalars become literals."""
    if isinstance(value, exp.Expr):
        return value
    if value is None:
        return exp.null()
    if isinstance(value, bool):
        return exp.true() if value else exp.false()
    if isinstance(value, int | float):
        number = exp.Literal.number(abs(value))
        return exp.Neg(this=number) if value < 0 else number
    return text(value)


def text(value: str) -> Expr:
    """A text literal. DuckDB cannot read NUL inside one, so it is spliced in with chr(0)."""
    if "\0" not in value:
        return exp.Literal.string(value)
    pieces: list[Expr] = []
    for number, piece in enumerate(value.split("\0")):
        if number:
            pieces.append(exp.Anonymous(this="chr", expressions=[exp.Literal.number(0)]))
        pieces.append(exp.Literal.string(piece))
    return exp.Anonymous(this="concat", expressions=pieces)


def column(name: str) -> Expr:
    """A column, quoted by the builder."""
    return exp.column(exp.to_identifier(name, quoted=True))


def cast(value: Expr, duckdb_type: str) -> Expr:
    """TRY_CAST: NULL where the value does not fit, never an error."""
    return exp.TryCast(this=value, to=exp.DataType.build(duckdb_type, dialect="duckdb"))


def choose(*arms: tuple[Expr, Expr], otherwise: Expr | None = None) -> Expr:
    """CASE WHEN … THEN … ELSE … END."""
    case = exp.Case()
    for condition, result in arms:
        case = case.when(condition, result)
    return case.else_(exp.null() if otherwise is None else otherwise)


def both(*conditions: Expr) -> Expr:
    """All of the conditions."""
    return exp.and_(*conditions, copy=False)


def either(*conditions: Expr) -> Expr:
    """Any of the conditions."""
    return exp.or_(*conditions, copy=False)


def no(condition: Expr) -> Expr:
    """The condition turned round."""
    return exp.Not(this=exp.Paren(this=condition))


def given(value: Expr) -> Expr:
    """The value is there."""
    return exp.Not(this=exp.Is(this=value, expression=exp.null()))


def absent(value: Expr) -> Expr:
    """The value is not there."""
    return exp.Is(this=value, expression=exp.null())


def one_of(value: Expr, words: Iterable[str]) -> Expr:
    """The text is one of a fixed list; false or NULL where there is no text."""
    listed = list(words)
    if any("\0" in word for word in listed):
        return exp.In(this=value, expressions=[text(word) for word in listed])
    return raw(among(sql(value), listed))


def same(left: Expr, right: Expr | str | int | float) -> Expr:
    """Equal."""
    return exp.EQ(this=left, expression=tree(right))


def differ(left: Expr, right: Expr | str | int | float) -> Expr:
    """Not equal."""
    return exp.NEQ(this=left, expression=tree(right))


def listed(values: Iterable[Expr | str | int | float | bool | None]) -> Expr:
    """A list literal."""
    return exp.Array(expressions=[tree(v) for v in values])


def each(values: Expr, name: str, body: Expr) -> Expr:
    """Every entry of a list, turned by `body` (which calls it `name`)."""
    return call("list_transform", values, _lambda(name, body))


def keep(values: Expr, name: str, condition: Expr) -> Expr:
    """The entries of a list for which the condition (which calls them `name`) holds."""
    return call("list_filter", values, _lambda(name, condition))


def _lambda(name: str, body: Expr) -> Expr:
    return exp.Lambda(this=body, expressions=[exp.to_identifier(name)])


def raw(sql: str) -> Expr:
    """SQL another part of the engine wrote (`engine.types`), taken as it stands."""
    return exp.Paren(this=exp.Var(this=sql))


def careful(value: Expr, result: str) -> Expr:
    """SQL of `engine.types` over a value, skipped where the value is NULL: its `let`s cost by the vector,
    so a vector with nothing to look at must not start them."""
    return choose((given(value), raw(result)))


def sql(node: Expr) -> str:
    """The node as DuckDB SQL, comments dropped."""
    return str(DUCKDB.generate(node, comments=False))
