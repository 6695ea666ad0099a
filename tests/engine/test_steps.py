"""The step catalogue: it describes itself, refuses what cannot work, and its short cuts agree with the long way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from engine import types
from engine.compile import compile_plan
from engine.model import FieldMapping, Mapping, Step, TargetField, TargetModel
from engine.steps import STEPS, BadMapping
from engine.steps.catalogue import groups_of

THING = TargetModel(
    name="thing", key=("value",), fields=(TargetField(name="value"), TargetField(name="kind"))
)


def _mapping(*steps: Step, field: str = "value", source: str = "a") -> Mapping:
    return Mapping(target="thing", fields=(FieldMapping(field=field, source=source, steps=steps),))


def test_every_step_has_words_and_a_schema_for_forms() -> None:
    assert len(STEPS) >= 35
    for step in STEPS.values():
        assert step.title
        assert step.summary.endswith((".", "…"))
        assert step.schema()["type"] == "object"


@pytest.mark.parametrize(
    ("step", "options", "message"),
    [
        ("split", {}, "by is missing."),
        ("split", {"by": ",", "prt": 1}, "prt is not known here."),
        ("split", {"by": ",", "part": 0}, "part counts from 1; use -1 for the last."),
        ("extract", {"regex": "("}, "the pattern '(' is not valid: missing ): (."),
        ("extract", {"regex": "(?=x)"}, "the pattern '(?=x)' is not valid: invalid perl operator: (?=."),
        ("extract", {"regex": "a" * 1001}, "the pattern is longer than 1000 characters."),
        ("extract", {"regex": "a(b)", "group": 2}, "the pattern has 1 groups, so there is no group 2."),
        (
            "replace",
            {"find": "a", "with": r"\1", "regex": True},
            r"the pattern has 0 groups, so there is no \1.",
        ),
        ("parse_date", {"formats": ["%Q"]}, "%Q is not a date format:"),
        (
            "parse_date",
            {"formats": ["dd.mm.yyyy"]},
            "dd.mm.yyyy is not a date format; write for example %d.%m.%Y.",
        ),
        ("parse_date", {"formats": ["date"]}, "say with day_first whether 03/04/2024 is 3 April or 4 March."),
        ("json_path", {"path": "$..x"}, "path: '$..x' is not a path like $.name[0].other."),
        ("json_path", {"path": "$[*]"}, "path: '$[*]' is not a path like $.name[0].other."),
        ("map", {}, "give either values or vocabulary."),
        ("map", {"values": {"a": "1", " A": "2"}}, "a word stands twice with different results"),
        ("map", {"vocabulary": "nope"}, "there is no vocabulary nope."),
        ("canonical", {"kind": "nope"}, "there is no kind nope."),
        ("lookup", {"target": "nope", "match": "a", "field": "b"}, "there is no target model nope."),
        ("lookup", {"target": "thing", "match": "nope", "field": "kind"}, "thing has no field nope."),
        ("number", {"decimal": ",", "thousands": ","}, "decimal and thousands must differ."),
        ("concat", {"fields": ["_spire_1"]}, "a source field may not be called _spire_1"),
    ],
)
def test_options_that_cannot_work_are_refused_with_field_step_and_reason(
    step: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadMapping) as refusal:
        compile_plan([_mapping(Step(step=step, options=options))], {"thing": THING})
    assert refusal.value.where.startswith(f"field value, step 1 ({step}): {message}")


@pytest.mark.parametrize(
    ("regex", "groups"),
    [
        ("a(b)(c)", 2),
        (r"\((a)", 1),
        ("[(](a)", 1),
        ("(?:a)(b)", 1),
        ("(?P<n>a)", 1),
        ("(?i)(a)", 1),
        (r"[^\](]+(a)", 1),
    ],
)
def test_groups_are_counted_as_re2_counts_them(regex: str, groups: int) -> None:
    assert groups_of(regex) == groups


def test_the_short_cut_for_patterns_agrees_with_the_long_way(shared_data: Path) -> None:
    patterns = {
        str(o["pattern"])
        for path in (shared_data / "misp-stix").rglob("*.json")
        for o in _objects(path)
        if isinstance(o, dict) and isinstance(o.get("pattern"), str)
    }
    patterns |= {
        "[ipv4-addr:value = 'a'] OR [ipv4-addr:value = 'b']", "[ipv4-addr:value = 'a' AND ipv4-addr:value = 'b']",
        r"[url:value = 'a\'']", r"[url:value = 'a\\']", "[url:value = '']", "[url:value = 'a''b']", "[url:value = 'é']",
        "[url:value = ']']", "[file:hashes.MD5 = 'x']", "[ipv4-addr:value = '1.2.3.0/24']", "", "[", "']", "[url:value = 'x' ]",
    }  # fmt: skip
    fields = (
        FieldMapping(field="value", source="p", steps=(Step(step="pattern_value"),)),
        FieldMapping(field="kind", source="p", steps=(Step(step="pattern_kind"),)),
    )
    branch = compile_plan([Mapping(target="thing", fields=fields)], {"thing": THING}).branches[0]
    database = duckdb.connect()
    types.register(database)
    database.execute("CREATE TABLE source AS SELECT unnest(?::VARCHAR[]) AS p", [sorted(patterns)])
    short = database.execute(f"SELECT value, kind FROM ({branch.sql})").fetchall()
    long = database.execute(
        f"SELECT {types.pattern_value('p')}, {types.pattern_kind('p')} FROM source"
    ).fetchall()
    assert len(patterns) > 15
    assert short == long


def test_a_kind_told_by_another_field_gives_the_form_the_types_give() -> None:
    values = [
        *HARD,
        " EVIL[.]com ",
        "198.51.100.7",
        "198.51.100.7/24",
        "http://A.example:80/x",
        "A@b.example",
        "AS13335",
        "t1",
    ]
    kinds = [*types.KINDS, "own-kind", None]
    database = duckdb.connect()
    types.register(database)
    database.execute(
        "CREATE TABLE source AS SELECT v AS a, k FROM (SELECT unnest(?::VARCHAR[]) AS v), (SELECT unnest(?::VARCHAR[]) AS k)",
        [[v for v in values if v], [k for k in kinds if k != "indicator"]],
    )
    step = Step(step="canonical", options={"kind_field": "k", "on_failure": "null"})
    branch = compile_plan([_mapping(step)], {"thing": THING}).branches[0]
    told = types.VOCABULARIES["indicator-kind"].canonical("k")
    short = database.execute(f"SELECT value FROM ({branch.sql})").fetchall()
    assert short == database.execute(f"SELECT {types.canonical_as('a', told)} FROM source").fetchall()


def _objects(path: Path) -> list[Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return []
    return list(data.get("objects", [])) if isinstance(data, dict) else []


HARD = [
    "", " ", "\n", "a\0b", "'", '"', "\\", "[", "{", "[1,", "null", "é" * 300, "x" * 100_000, "1e999", "-", "nan", "infinity",
    "0000-00-00", "9" * 400, "\ufeff", "\U0001f600", "%s", "(", "$", "http://", "[::1]", "1.2.3.4/33", "::ffff:1.2.3.4",
]  # fmt: skip


@pytest.mark.parametrize("name", sorted(STEPS))
def test_no_value_makes_a_step_raise_and_null_stays_null(name: str) -> None:
    needed: dict[str, dict[str, Any]] = {
        "split": {"by": ","}, "concat": {"fields": ["a"]}, "extract": {"regex": "x"}, "replace": {"find": "x"},
        "prefix": {"text": "x"}, "suffix": {"text": "x"}, "json_path": {"path": "$.x"}, "null_if": {"values": ["x"]},
        "map": {"values": {"x": "y"}}, "coalesce": {"fields": ["a"]}, "url_part": {"part": "host"}, "ip_version": {"value_field": "a"},
        "lookup": {"target": "thing", "match": "value", "field": "kind"}, "default": {"value": "x"},
        "parse_date": {"formats": ["%Y", "iso", "epoch", "date"], "day_first": True},
    }  # fmt: skip
    branch = compile_plan(
        [_mapping(Step(step=name, options=needed.get(name, {})))], {"thing": THING}
    ).branches[0]
    database = duckdb.connect()
    types.register(database)
    database.execute("CREATE SCHEMA records")
    database.execute("CREATE TABLE records.thing (value VARCHAR, kind VARCHAR)")
    database.execute("CREATE TABLE source AS SELECT unnest(?::VARCHAR[]) AS a", [[*HARD, None]])
    rows = database.execute(f"SELECT value, _mask FROM ({branch.sql})").fetchall()
    assert len(rows) == len(HARD) + 1
    assert rows[-1] == (("x", 0) if name == "default" else (None, 0))
