"""A mapping as SQL a person can read, run and edit, and back.

The text is two SELECTs: the inner one has a line for each mapped field, the outer one gives the values
their types. A comment at the top carries the mapping itself, so an unedited text comes back as it
went. An inner line edited by hand becomes `sql:` for its field; lines may be added and removed, and
WHERE may be changed. Everything else follows from the target model and may not be edited here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping as MappingABC

import sqlglot
from pydantic import ValidationError
from sqlglot import exp
from sqlglot.errors import SqlglotError

from engine.chain import Building, Chain, origin, walk
from engine.compile import readable, where_of
from engine.expression import expression
from engine.layers import Layers
from engine.mapping import address, canonical_json
from engine.model import FieldMapping, Mapping, TargetModel
from engine.rules import message_of
from engine.steps.catalogue import BadMapping, told
from engine.steps.tree import DUCKDB, Expr, sql

HEADER = "-- mapping: "
LONGEST = 5_000_000


def to_sql(mapping: Mapping, targets: MappingABC[str, TargetModel]) -> str:
    """The mapping as SQL; equal mappings give equal bytes."""
    inner, outer, source = readable(mapping, targets)
    lines = [
        f"-- Phantom Spire mapping onto {mapping.target}, version {address(mapping)}.",
        "-- Edit the inner SELECT and its WHERE; the next line carries the rest. Rules are listed for reading only.",
        HEADER + canonical_json(mapping),
        *(
            f"-- rule {rule.id} ({rule.severity.value}): {_one_line(message_of(rule))}"
            for rule in mapping.rules
        ),
        "SELECT",
        ",\n".join(f"  {sql(one)}" for one in outer),
        "FROM (",
        "  SELECT",
        ",\n".join(f"    {sql(one)}" for one in inner),
        f"  FROM {sql(source)}",
    ]
    if mapping.where is not None:
        lines.append(f"  WHERE {where_of(mapping)}")
    return "\n".join((*lines, ") AS mapped", ""))


def from_sql(text: str, targets: MappingABC[str, TargetModel]) -> Mapping:
    """The mapping an exported SQL text says, edits included; a Stop error where an edit cannot be taken over."""
    if len(text) > LONGEST:
        raise BadMapping(f"The SQL is longer than {LONGEST} characters.")
    carried = [line for line in text.splitlines() if line.startswith(HEADER)]
    if len(carried) != 1:
        raise BadMapping(f"The SQL needs exactly one line that begins with `{HEADER.strip()}`, as exported.")
    try:
        mapping = Mapping.model_validate(json.loads(carried[0].removeprefix(HEADER)))
    except ValidationError as error:
        raise BadMapping(f"The line `{HEADER.strip()}` was changed: {told(error)}.") from error
    except (ValueError, RecursionError) as error:
        raise BadMapping(f"The line `{HEADER.strip()}` was changed and is no longer JSON.") from error
    exported = to_sql(mapping, targets)
    if text.strip() == exported.strip():
        return mapping
    return _edited(mapping, _parsed(exported), _parsed(text))


def _one_line(message: str) -> str:
    return " ".join(message.split())


def _parsed(text: str) -> exp.Select:
    try:
        statements = sqlglot.parse(text, dialect="duckdb")
    except (SqlglotError, RecursionError) as error:
        raise BadMapping(f"The SQL cannot be read: {str(error).splitlines()[0]}.") from error
    select = statements[0] if len(statements) == 1 else None
    if not isinstance(select, exp.Select) or not isinstance(_inner(select), exp.Select):
        raise BadMapping("The SQL must stay one SELECT from an inner SELECT, as exported.")
    return select


def _inner(select: exp.Select) -> Expr | None:
    source = select.args.get("from_")
    table = source.this if isinstance(source, exp.From) else None
    return table.this if isinstance(table, exp.Subquery) else None


def _edited(mapping: Mapping, exported: exp.Select, given: exp.Select) -> Mapping:
    before, after = _lines(exported), _lines(given)
    types, shown_types = _lines_of(exported), _lines_of(given)
    for name in dict.fromkeys((*types, *shown_types)):
        if name in before and name in after and types[name] != shown_types.get(name):
            raise BadMapping(
                f"{name}: the outer SELECT gives types and may not be edited; edit its inner line."
            )
        if name in shown_types and name not in before and name not in after:
            raise BadMapping(f"{name}: the outer SELECT names a field that the inner one does not have.")
    if _rest(exported) != _rest(given):
        raise BadMapping("Only the inner SELECT list and its WHERE can be edited.")
    known = {item.field: item for item in mapping.fields}
    fields: list[FieldMapping] = []
    for name, shown in after.items():
        if name in known and before.get(name) == shown:
            fields.append(known[name])
        else:
            expression(shown, f"field {name}")
            try:
                fields.append(FieldMapping(field=name, sql=shown))
            except ValidationError as error:
                raise BadMapping(f"{name}: {told(error)}.") from error
    where = mapping.where
    if _where(exported) != _where(given):
        where = _where(given)
        if where is not None:
            expression(where, "where")
    return mapping.model_copy(update={"fields": tuple(fields), "where": where})


def _lines(select: exp.Select) -> dict[str, str]:
    """Inner lines by the target field they are named after."""
    inner = _inner(select)
    return _lines_of(inner) if isinstance(inner, exp.Select) else {}


def _lines_of(select: exp.Select) -> dict[str, str]:
    lines: dict[str, str] = {}
    for one in select.expressions:
        if not isinstance(one, exp.Alias):
            raise BadMapping(f"{_shown(one)[:60]}: every line needs AS and the name of a target field.")
        if one.alias in lines:
            raise BadMapping(f"{one.alias} stands twice.")
        lines[one.alias] = _shown(one.this)
    return lines


def _rest(select: exp.Select) -> list[str]:
    """What may not change: the source, and every clause but the lists and the inner WHERE."""
    inner = _inner(select)
    rest: list[str] = []
    for one in (select, inner):
        if isinstance(one, exp.Select):
            clauses = {k: v for k, v in one.args.items() if v and k not in ("expressions", "where", "kind")}
            rest.extend(
                f"{k}={_shown(v) if isinstance(v, exp.Expr) else v}"
                for k, v in clauses.items()
                if one is inner or k != "from_"
            )
    return [*rest, str(select.args.get("where") or "")]


def _where(select: exp.Select) -> str | None:
    inner = _inner(select)
    where = inner.args.get("where") if inner is not None else None
    return _shown(where.this) if isinstance(where, exp.Where) else None


def _shown(node: Expr) -> str:
    return str(DUCKDB.generate(node, comments=False))


def field_sql(item: FieldMapping, targets: MappingABC[str, TargetModel]) -> str:
    """A field's value after its steps as one expression over source fields, in the form that `sql:` takes."""
    way = Chain(Building(targets, Layers(inline=10**9)), f"field {item.field}")
    value, _ = walk(item, *origin(item, way), way)
    return str(DUCKDB.generate(value, comments=False, pretty=True))
