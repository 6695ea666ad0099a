"""A mapping that follows its source: names followed wherever they stand, what is gone taken out."""

from __future__ import annotations

from collections.abc import Mapping as MappingABC
from typing import Any

import sqlglot
from sqlglot import exp

from engine.drift import Finding
from engine.model import FieldMapping, Mapping, Step, TargetModel
from engine.steps.tree import sql

# The options of steps that name a field of the source.
_NAMING = ("kind_field", "value_field", "within")
_LISTING = ("concat", "coalesce")


def followed(mapping: Mapping, names: MappingABC[str, str]) -> Mapping:
    """The mapping with source fields under their new names: in origins, expressions, steps, `where` and `explode`."""
    return mapping.model_copy(
        update={
            "fields": tuple(_field(item, names) for item in mapping.fields),
            "where": _expression(mapping.where, names) if mapping.where else mapping.where,
            "explode": names.get(mapping.explode, mapping.explode) if mapping.explode else None,
        }
    )


def without(mapping: Mapping, source: str, target: TargetModel) -> tuple[Mapping, list[str]]:
    """The mapping without what comes from a source field alone, and what is to be said of it.

    What the target model requires stays as it is: a person must say where else it comes from.
    """
    kept: list[FieldMapping] = []
    notes: list[str] = []
    dropped: set[str] = set()
    required = {*target.key, *(f.name for f in target.fields if f.required)}
    for item in mapping.fields:
        if item.source != source:
            kept.append(item)
        elif item.field in required:
            kept.append(item)
            notes.append(f"{item.field} is required and was made of {source}: say where it comes from now.")
        else:
            dropped.add(item.field)
    rules = tuple(rule for rule in mapping.rules if rule.field not in dropped)
    if len(rules) < len(mapping.rules):
        notes.append(f"Rules about {', '.join(sorted(dropped))} go with it.")
    return mapping.model_copy(update={"fields": tuple(kept), "rules": rules}), notes


def names_of(findings: tuple[Finding, ...]) -> dict[str, str]:
    """The new name of each renamed field."""
    return {f.field: f.to for f in findings if f.kind == "rename"}


def _field(item: FieldMapping, names: MappingABC[str, str]) -> FieldMapping:
    steps = tuple(_step(step, names) for step in item.steps)
    if item.source is not None:
        return item.model_copy(update={"source": names.get(item.source, item.source), "steps": steps})
    if item.sql is not None:
        return item.model_copy(update={"sql": _expression(item.sql, names), "steps": steps})
    return item.model_copy(update={"steps": steps})


def _step(step: Step, names: MappingABC[str, str]) -> Step:
    options: dict[str, Any] = dict(step.options)
    for key in _NAMING:
        if isinstance(options.get(key), str):
            options[key] = names.get(options[key], options[key])
    if step.step in _LISTING and isinstance(options.get("fields"), list):
        options["fields"] = [names.get(name, name) for name in options["fields"]]
    return step if options == step.options else step.model_copy(update={"options": options})


def _expression(text: str, names: MappingABC[str, str]) -> str:
    tree = sqlglot.parse_one(text, dialect="duckdb")
    found = [node for node in tree.find_all(exp.Column) if node.name in names and not node.table]
    if not found:
        return text
    # All at once, so that two fields can change places.
    for node, name in [(node, names[node.name]) for node in found]:
        node.set("this", exp.to_identifier(name, quoted=True))
    return sql(tree)
