"""SQL expressions by users: one scalar expression over named fields, from an allow-list of functions.

Three fences, each enough alone: names are checked on the tokens a person wrote, every node of
sqlglot's tree must be of an allowed kind, and DuckDB's own parse of what we generate may hold only
functions of the catalogue. Nothing that reads a file, a setting, a table or a clock is in it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import duckdb
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.tokens import Token, TokenType

from engine.functions import FUNCTIONS, GENERATED, SAFE
from engine.scratch import complaint, scratch
from engine.steps.catalogue import BadMapping, pattern
from engine.steps.tree import Expr, call, sql

LONGEST = 10_000
MOST_TOKENS = 2_000
DEEPEST = 50
MOST_FILL = 1_000

_NODES: tuple[type[exp.Expr], ...] = (
    exp.Column, exp.Identifier, exp.Literal, exp.Boolean, exp.Null, exp.Paren, exp.And, exp.Or, exp.Not,
    exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.NullSafeNEQ, exp.Is, exp.In,
    exp.Between, exp.Like, exp.ILike, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.IntDiv, exp.Mod, exp.Neg,
    exp.DPipe, exp.Case, exp.If, exp.Cast, exp.TryCast, exp.DataType, exp.DataTypeParam, exp.Array,
    exp.Bracket, exp.Slice, exp.Lambda, exp.Interval, exp.Var, exp.Dot, exp.JSONPath, exp.JSONPathPart,
    exp.JSONExtract, exp.JSONExtractScalar,
)  # fmt: skip
_SAFE_NODES: tuple[type[exp.Expr], ...] = (
    exp.Column, exp.Identifier, exp.Boolean, exp.Null, exp.Paren, exp.And, exp.Or, exp.Not, exp.EQ, exp.NEQ,
    exp.Is, exp.In, exp.Like, exp.ILike, exp.DPipe, exp.Case, exp.If, exp.NullSafeEQ, exp.NullSafeNEQ,
)  # fmt: skip
_TYPES = {
    "TEXT", "VARCHAR", "TINYINT", "SMALLINT", "INT", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINT", "UBIGINT",
    "DECIMAL", "DOUBLE", "FLOAT", "BOOLEAN", "DATE", "TIME", "TIMESTAMP", "TIMESTAMPNTZ", "TIMESTAMPTZ", "UUID", "JSON",
}  # fmt: skip
# Words that may stand before a parenthesis without being a function.
_WORDS = {
    "and", "or", "not", "in", "case", "when", "then", "else", "between", "like", "ilike", "is", "distinct", "from",
    "cast", "try_cast", "interval", "as", "decimal", "varchar", "numeric",
}  # fmt: skip
_WHY = {
    "now": "results would differ from one run to the next", "random": "results would differ from one run to the next",
    "uuid": "results would differ from one run to the next", "today": "results would differ from one run to the next",
    "current_date": "results would differ from one run to the next",
    "current_timestamp": "results would differ from one run to the next",
    "select": "an expression may not read tables", "exists": "an expression may not read tables",
}  # fmt: skip


@dataclass(frozen=True)
class Expression:
    """A checked expression: its tree (columns quoted, casts softened), the columns it reads in order,
    its DuckDB type, and whether a row can make it raise (then it belongs inside TRY)."""

    tree: Expr
    columns: tuple[str, ...]
    type: str
    can_raise: bool


def expression(text: str, where: str, columns: Mapping[str, str] | None = None) -> Expression:
    """The expression checked; a Stop error naming `where`, the token and what to use instead.

    `columns` gives the fields it may read and their DuckDB types; None takes any name as text.
    """
    if len(text) > LONGEST:
        raise BadMapping(f"{where}: the expression is longer than {LONGEST} characters.")
    try:
        _check_tokens(sqlglot.tokenize(text, dialect="duckdb"), where)
        node: Expr = sqlglot.parse_one(text, dialect="duckdb", into=exp.Condition)
        _check_nodes(node, where)
        _check_filling(node, where)
        node = _softened(node)
        literal_patterns(node, where)
        used = tuple(dict.fromkeys(c.name for c in fields_of(node)))
        generated = sql(node)
    except SqlglotError as error:
        raise BadMapping(f"{where}: {_parse_error(error)}.") from error
    except RecursionError as error:
        raise BadMapping(f"{where}: the expression is nested too deeply.") from error
    if columns is not None:
        for name in used:
            if name not in columns:
                raise BadMapping(f"{where}: there is no field {name}.{_nearest(name, list(columns))}")
    types = {name: columns[name] if columns is not None else "VARCHAR" for name in used}
    return Expression(node, used, _bind(generated, types, where), _can_raise(node))


def _check_tokens(tokens: list[Token], where: str) -> None:
    if not tokens:
        raise BadMapping(f"{where}: the expression is empty.")
    if len(tokens) > MOST_TOKENS:
        raise BadMapping(f"{where}: the expression has more than {MOST_TOKENS} words and signs.")
    depth = 0
    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        depth += token.token_type in (
            TokenType.L_PAREN,
            TokenType.L_BRACKET,
            TokenType.CASE,
            TokenType.L_BRACE,
        )
        depth -= token.token_type in (
            TokenType.R_PAREN,
            TokenType.R_BRACKET,
            TokenType.END,
            TokenType.R_BRACE,
        )
        if depth > DEEPEST:
            raise BadMapping(f"{where}: the expression is nested deeper than {DEEPEST} levels.")
        word = token.text.lower()
        if token.token_type is TokenType.SEMICOLON:
            raise BadMapping(f"{where}: `;` is not allowed; give one expression.")
        if token.token_type in (TokenType.STRING, TokenType.NUMBER):
            continue
        called = following is not None and following.token_type is TokenType.L_PAREN
        spelled = word[:1].isalpha() or word[:1] == "_" or token.token_type is TokenType.IDENTIFIER
        if called and spelled and word not in FUNCTIONS and word not in _WORDS:
            raise BadMapping(f"{where}: {_refusal(word)}")


def _refusal(name: str) -> str:
    reason = f", because {_WHY[name]}" if name in _WHY else ""
    return f"the function {name} is not allowed{reason}.{_nearest(name, list(FUNCTIONS))}"


def _nearest(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, n=1, cutoff=0.6)
    return f" Did you mean {near[0]}?" if near else ""


def _check_nodes(root: Expr, where: str) -> None:
    for node in root.walk():
        if isinstance(node, exp.Cast):
            _check_type(node.to, where)
        if isinstance(node, exp.In) and (node.args.get("query") or node.args.get("unnest")):
            raise BadMapping(f"{where}: an expression may not read tables.")
        if isinstance(node, exp.Column) and node.table:
            raise BadMapping(f"{where}: write {node.name}, without {node.table} before it.")
        if isinstance(node, _NODES):
            continue
        if isinstance(node, exp.Anonymous) and node.name.lower() in FUNCTIONS:
            continue
        known = isinstance(node, exp.Func) and not isinstance(node, exp.AggFunc)
        if known and any(name.lower() in FUNCTIONS for name in _names(node)):
            continue
        shown = sql(node).split("(")[0].strip().lower()[:40] or type(node).__name__.lower()
        raise BadMapping(f"{where}: {_refusal(shown)}")


def _check_filling(root: Expr, where: str) -> None:
    """lpad and rpad make text of any length from a number: only a small, written number may say so."""
    for node in root.find_all(exp.Pad, exp.Anonymous):
        name = sql(node).split("(")[0].lower()
        if name in ("lpad", "rpad"):
            length = node.args["expression"] if isinstance(node, exp.Pad) else node.expressions[1]
            if not (
                isinstance(length, exp.Literal) and not length.is_string and float(length.name) <= MOST_FILL
            ):
                raise BadMapping(
                    f"{where}: {name} fills up to at most {MOST_FILL} characters, and needs that number written out."
                )


def _names(node: exp.Expr) -> list[str]:
    """What sqlglot calls a function it knows, and what DuckDB will be told."""
    own = type(node).sql_names() if isinstance(node, exp.Func) else []
    return [*own, sql(node).split("(")[0].strip()]


def _check_type(kind: exp.DataType, where: str) -> None:
    inner = kind.expressions[0] if kind.this is exp.DataType.Type.ARRAY and kind.expressions else kind
    name = inner.this.value if isinstance(inner.this, exp.DataType.Type) else str(inner.this)
    if name not in _TYPES:
        raise BadMapping(f"{where}: the type {sql(kind)} is not allowed.{_nearest(name, sorted(_TYPES))}")


def fields_of(root: Expr) -> Iterator[exp.Column]:
    """The places in a checked expression where a field stands (and not a lambda's parameter)."""
    return (node for node in root.find_all(exp.Column, bfs=False) if not _bound(node))


def _bound(node: exp.Expr) -> bool:
    """The name is a lambda's parameter, not a field."""
    above = node.find_ancestor(exp.Lambda)
    while above is not None:
        if any(parameter.name == node.name for parameter in above.expressions):
            return True
        above = above.find_ancestor(exp.Lambda)
    return False


def _softened(root: Expr) -> Expr:
    """Casts give NULL instead of raising, every field name is quoted, comments are gone."""
    for node in list(root.walk()):
        node.comments = None
        if isinstance(node, exp.Column) and isinstance(node.this, exp.Identifier) and not _bound(node):
            node.this.set("quoted", True)
        if type(node) is exp.Cast:
            softer = exp.TryCast(this=node.this, to=node.to)
            if node is root:
                root = softer
            else:
                node.replace(softer)
    return root


def _can_raise(root: Expr) -> bool:
    for node in root.walk():
        if isinstance(node, exp.Literal):
            # A number beside a text makes DuckDB read the text as a number, and raise where it is none.
            if not node.is_string and not isinstance(node.parent, exp.Func):
                return True
        elif not isinstance(node, _SAFE_NODES) and not (
            isinstance(node, exp.Func) and any(name.lower() in SAFE for name in [*_names(node), node.name])
        ):
            return True
    return False


def _bind(generated: str, columns: Mapping[str, str], where: str) -> str:
    """The type DuckDB finds, once its own parser has shown only what the catalogue allows."""
    fields = ", ".join(
        sql(exp.alias_(exp.cast(exp.null(), t, dialect="duckdb"), n, quoted=True)) for n, t in columns.items()
    )
    query = f"SELECT {generated} AS it FROM (SELECT {fields or '1'}) AS source"
    database = scratch()
    try:
        parsed = json.loads(
            str(database.execute(f"SELECT {sql(call('json_serialize_sql', query))}").fetchall()[0][0])
        )
        if parsed.get("error"):
            raise BadMapping(f"{where}: {parsed.get('error_message', 'this is not an expression')}.")
        for item in parsed["statements"][0]["node"]["select_list"]:
            _check_parse(item, where)
        return str(database.execute(f"DESCRIBE {query}").fetchall()[0][1])
    except duckdb.Error as error:
        raise BadMapping(f"{where}: {complaint(error)}.") from error


def _check_parse(node: Any, where: str) -> None:
    """Walk DuckDB's parse: no sub-query, no window, no function outside the catalogue."""
    waiting = [node]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, dict):
            if item.get("class") in ("SUBQUERY", "WINDOW", "STAR", "PARAMETER", "DEFAULT"):
                raise BadMapping(f"{where}: an expression may not hold a {str(item['class']).lower()}.")
            name = item.get("function_name")
            if name is not None and str(name).lower() not in FUNCTIONS and str(name).lower() not in GENERATED:
                raise BadMapping(f"{where}: {_refusal(str(name).lower())}")
            waiting.extend(item.values())


def _parse_error(error: SqlglotError) -> str:
    details = getattr(error, "errors", None)
    if details:
        near = str(details[0].get("highlight") or "").strip()
        return f"cannot be read at {near!r}" if near else "the expression is incomplete"
    return "this is not an expression"


def literal_patterns(root: Expr, where: str) -> None:
    """Regular expressions must be written out: one taken from a column costs a hundred times as much."""
    for node in root.find_all(
        exp.Anonymous, exp.RegexpLike, exp.RegexpFullMatch, exp.RegexpExtract, exp.RegexpReplace
    ):
        if not sql(node).lower().startswith("regexp_"):
            continue
        given = node.expressions[1] if isinstance(node, exp.Anonymous) else node.args["expression"]
        if not (isinstance(given, exp.Literal) and given.is_string):
            raise BadMapping(f"{where}: a pattern must be written out as text, not computed.")
        pattern(given.name, where)
