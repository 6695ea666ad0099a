"""Mappings and rules as text pairs: every case of tests/mappings/*.txt through real DuckDB.

A case is a title after `===`, then sections. `target` gives fields as `name type`, with `required`,
`kind=…` or `vocabulary=…` after; without it there is one field `value text`. `mapping` is YAML without
its `target:` line. `input` and `output` are one JSON object a line; after ` ! ` an output line names the
broken checks by their messages. `records` holds stored records of the model `asset` (id, name, owner).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from engine import types
from engine.compile import Branch, compile_plan, explain
from engine.lineage import chain
from engine.mapping import from_yaml, to_yaml
from engine.model import Mapping, TargetField, TargetModel
from engine.sqltext import from_sql, to_sql

FOLDER = Path(__file__).resolve().parent.parent / "mappings"
ASSET = TargetModel(
    name="asset", key=("id",), fields=tuple(TargetField(name=n) for n in ("id", "name", "owner"))
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    title: str
    sections: dict[str, list[str]]

    def target(self) -> TargetModel:
        fields = [_field(line) for line in self.sections.get("target", ["value text"])]
        return TargetModel(name="thing", key=(fields[0].name,), fields=tuple(fields))

    def mapping(self) -> Mapping:
        return from_yaml("target: thing\n" + "\n".join(self.sections["mapping"]))


def _field(line: str) -> TargetField:
    name, kind, *marks = line.split()
    options: dict[str, Any] = {}
    for mark in marks:
        key, _, value = mark.partition("=")
        options[key] = value or True
    return TargetField(name=name, type=kind, **options)


def _cases() -> list[Any]:
    found = []
    for path in sorted(FOLDER.glob("*.txt")):
        for block in path.read_text(encoding="utf-8").split("\n=== ")[1:]:
            title, *lines = block.splitlines()
            sections: dict[str, list[str]] = {}
            for line in lines:
                if line.startswith("--- "):
                    current = sections.setdefault(line[4:].strip(), [])
                elif line.strip():
                    current.append(line)
            found.append(pytest.param(Case(title, sections), id=f"{path.stem}: {title}"))
    return found


@pytest.fixture(scope="module")
def database() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": 1})
    types.register(connection)
    connection.execute("SET TimeZone = 'America/New_York'")  # results may not depend on it
    connection.execute("CREATE SCHEMA records")
    return connection


def _load(database: duckdb.DuckDBPyConnection, case: Case, branch: Branch) -> None:
    rows = [json.loads(line) for line in case.sections["input"]]
    columns = list(dict.fromkeys((*branch.fields, *(name for row in rows for name in row))))
    names = ", ".join('"' + name.replace('"', '""') + '" VARCHAR' for name in columns)
    database.execute(f"CREATE OR REPLACE TABLE source (_ord BIGINT, {names})")
    for number, row in enumerate(rows):
        values = [number, *(row.get(name) for name in columns)]
        database.execute(f"INSERT INTO source VALUES ({', '.join('?' * len(values))})", values)
    database.execute("CREATE OR REPLACE TABLE records.asset (id VARCHAR, name VARCHAR, owner VARCHAR)")
    for line in case.sections.get("records", []):
        record = json.loads(line)
        database.execute(
            "INSERT INTO records.asset VALUES (?, ?, ?)", [record.get(k) for k in ("id", "name", "owner")]
        )


def _rows(database: duckdb.DuckDBPyConnection, sql: str) -> list[dict[str, Any]]:
    """Rows as JSON has them, dates in ISO form."""
    shown = f"SELECT to_json(q) FROM ({sql}) q"
    return [json.loads(row[0]) for row in database.execute(shown).fetchall()]


def _expected(line: str) -> tuple[dict[str, Any], list[str]]:
    values, _, messages = line.partition(" ! ")
    return json.loads(values), [m.strip() for m in messages.split(" ! ") if m.strip()]


@pytest.mark.parametrize("case", _cases())
def test_a_case_gives_its_values_and_its_broken_checks(
    database: duckdb.DuckDBPyConnection, case: Case
) -> None:
    targets = {"thing": case.target(), "asset": ASSET}
    mapping = case.mapping()
    branch = compile_plan([mapping], targets).branches[0]
    _load(database, case, branch)
    source = f"(SELECT * FROM source WHERE {branch.where})" if branch.where else "(SELECT * FROM source)"
    rows = _rows(database, f"WITH source AS {source} {branch.sql}")
    names = [name for name, _ in branch.columns]
    got = [({n: row[n] for n in names}, [c.message for c in explain(branch, row["_mask"])]) for row in rows]
    wanted = [_expected(line) for line in case.sections["output"]]
    assert got == [({n: values.get(n) for n in names}, messages) for values, messages in wanted]

    # The same mapping in its other shapes: YAML, SQL (which gives the same values), and step by step.
    assert from_yaml(to_yaml(mapping)) == mapping
    exported = to_sql(mapping, targets)
    assert from_sql(exported, targets) == mapping
    if not any("could not be computed" in m for _, messages in wanted for m in messages):
        shown = _rows(database, exported)
        assert [{n: row[n] for n in row} for row in shown] == [
            {n: values[n] for n in shown[0]} for values, _ in got
        ]
    for item in mapping.fields:
        way = chain(branch, item.field, targets)
        stages = _rows(database, f"WITH source AS {source} {way.sql}")
        assert [row[way.stages[-1].column] is None for row in stages] == [
            values[item.field] is None for values, _ in got
        ]


def test_there_is_a_case_for_every_step_and_every_row_rule() -> None:
    from engine.rules import OPERATORS
    from engine.steps import STEPS

    text = "\n".join(path.read_text(encoding="utf-8") for path in FOLDER.glob("*.txt"))
    used = {step for step in STEPS if f"- {step}" in text or f"[{step}" in text or f", {step}" in text}
    assert set(STEPS) - used == set()
    assert {
        name for name, o in OPERATORS.items() if o.scope == "row" and f"operator: {name}" not in text
    } == set()
