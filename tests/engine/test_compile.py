"""The compiled plan: what it emits, how it counts, and that it costs what it should."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from engine import types
from engine.compile import compile_plan, explain
from engine.lineage import chain, lineage
from engine.model import FieldMapping, Mapping, Rule, Severity, Step, TargetField, TargetModel
from engine.steps import BadMapping
from engine.targets import TARGETS, stix_mappings

THING = TargetModel(
    name="thing",
    key=("id",),
    fields=(
        TargetField(name="id", required=True),
        TargetField(name="n", type="integer"),
        TargetField(name="at", type="timestamp"),
    ),
)


def _mapping(*fields: FieldMapping, **more: Any) -> Mapping:
    return Mapping(target="thing", fields=fields or (FieldMapping(field="id", source="a"),), **more)


def _run(mapping: Mapping, rows: list[dict[str, Any]], target: TargetModel = THING) -> list[dict[str, Any]]:
    branch = compile_plan([mapping], {target.name: target}).branches[0]
    database = duckdb.connect()
    types.register(database)
    names = list(dict.fromkeys(name for row in rows for name in row)) or ["a"]
    columns = ", ".join(f'"{n}" {"BIGINT" if n == "_ord" else "VARCHAR"}' for n in names)
    database.execute(f"CREATE TABLE source ({columns})")
    for row in rows:
        database.execute(
            f"INSERT INTO source VALUES ({', '.join('?' * len(names))})", [row.get(n) for n in names]
        )
    answer = database.execute(branch.sql)
    header = [d[0] for d in answer.description or []]
    return [dict(zip(header, row, strict=True)) for row in answer.fetchall()]


def _refusal(mapping: Mapping, target: TargetModel = THING) -> str:
    with pytest.raises(BadMapping) as refusal:
        compile_plan([mapping], {target.name: target})
    return refusal.value.where


def test_the_select_emits_every_target_field_in_order_then_hashes_and_mask() -> None:
    (row,) = _run(_mapping(), [{"a": "1"}])
    assert list(row) == ["id", "n", "at", "_kh", "_vh", "_mask"]


def test_equal_mappings_give_equal_sql() -> None:
    steps = (Step(step="map", options={"values": {"a": "A", "b": "B"}}),)
    turned = (Step(step="map", options={"values": {"b": "B", "a": "A"}}),)
    one, two = (
        compile_plan([_mapping(FieldMapping(field="id", source="a", steps=s))], {"thing": THING}).branches[0]
        for s in (steps, turned)
    )
    assert one.sql == two.sql
    assert one.version == two.version
    assert len(one.version) == 12


def test_the_key_hash_follows_the_key_alone_and_the_value_hash_everything() -> None:
    mapping = _mapping(FieldMapping(field="id", source="a"), FieldMapping(field="n", source="b"))
    first, second, third = _run(mapping, [{"a": "1", "b": "1"}, {"a": "1", "b": "2"}, {"a": "1", "b": "01"}])
    assert first["_kh"] == second["_kh"]
    assert first["_vh"] != second["_vh"]
    assert first["_vh"] == third["_vh"]


def test_every_broken_check_sets_its_own_bit() -> None:
    mapping = _mapping(
        FieldMapping(field="id", source="a"),
        FieldMapping(field="n", source="b"),
        rules=(Rule(id="small", operator="range", field="n", value={"max": 5}, severity=Severity.WARN),),
    )
    branch = compile_plan([mapping], {"thing": THING}).branches[0]
    assert [(c.bit, c.rule, c.field, c.group, c.severity.value) for c in branch.checks] == [
        (0, "id:required", "id", "schema", "quarantine"),
        (1, "n:type", "n", "schema", "quarantine"),
        (2, "small", "n", "quality", "warn"),
    ]
    masks = [
        row["_mask"]
        for row in _run(mapping, [{"a": "1", "b": "5"}, {"a": None, "b": "x"}, {"a": "", "b": "6"}])
    ]
    assert masks == [0, 0b011, 0b101]
    assert [c.rule for c in explain(branch, 0b101)] == ["id:required", "small"]


def test_sixty_two_checks_fit_and_one_more_is_refused() -> None:
    rules = tuple(Rule(id=f"r{i}", operator="not_in", field="id", value=[str(i)]) for i in range(62))
    assert [row["_mask"] for row in _run(_mapping(rules=rules[:61]), [{"a": "60"}, {"a": "x"}])] == [
        1 << 61,
        0,
    ]
    assert _refusal(_mapping(rules=rules)) == "thing: 63 checks are more than the 62 a mapping can have."


def test_unique_reserves_a_bit_for_the_store_to_set() -> None:
    mapping = _mapping(rules=(Rule(id="once", operator="unique", field="id", value=["n"]),))
    branch = compile_plan([mapping], {"thing": THING}).branches[0]
    (check,) = branch.set_checks
    assert (check.bit, check.fields, check.message) == (1, ("id", "n"), "id and n occurs more than once")
    assert [row["_mask"] for row in _run(mapping, [{"a": "1"}, {"a": "1"}])] == [0, 0]


def test_rules_about_the_run_are_kept_apart() -> None:
    rules = (
        Rule(id="fresh", operator="freshness", field="at", value="36 hours"),
        Rule(id="many", operator="volume", value={"min": 10, "of": "read"}),
    )
    branch = compile_plan([_mapping(rules=rules)], {"thing": THING}).branches[0]
    fresh, many = branch.run_checks
    assert fresh.within is not None
    assert fresh.within.total_seconds() == 36 * 3600
    assert (many.minimum, many.maximum, many.of) == (10, None, "read")
    assert len(branch.checks) == 1


def test_the_plan_reads_only_the_source_fields_it_needs() -> None:
    mapping = _mapping(
        FieldMapping(field="id", source="a", steps=(Step(step="concat", options={"fields": ["c"]}),)),
        FieldMapping(field="n", sql="length(d)"),
        where="e = 'x'",
    )
    branch = compile_plan([mapping], {"thing": THING}).branches[0]
    assert branch.fields == ("a", "c", "d", "e")
    assert branch.where == "\"e\" = 'x'"


def test_source_columns_of_any_name_do_not_clash_with_ours() -> None:
    mapping = _mapping(FieldMapping(field="id", source="_mask"), FieldMapping(field="n", source="_values"))
    (row,) = _run(mapping, [{"_mask": "7", "_values": "8", "_1": "9", "_kh": "x", "_spire_1": "no"}])
    assert (row["id"], row["n"], row["_mask"]) == ("7", 8, 0)
    assert "names with _spire_ are ours" in _refusal(_mapping(FieldMapping(field="id", source="_Spire_1")))


def test_fan_out_passes_the_row_number_on() -> None:
    mapping = _mapping(FieldMapping(field="id", source="parts"), explode="parts")
    rows = _run(mapping, [{"_ord": 7, "parts": '["x", "y"]'}, {"_ord": 8, "parts": None}])
    assert [(row["_ord"], row["id"]) for row in rows] == [(7, "x"), (7, "y"), (8, None)]
    assert compile_plan([mapping], {"thing": THING}).branches[0].fan_out


def test_a_raw_object_is_not_parsed_again() -> None:
    target = TargetModel(
        name="thing", key=("id",), fields=(TargetField(name="id"), TargetField(name="object", type="json"))
    )
    mapping = _mapping(FieldMapping(field="id", source="a"), FieldMapping(field="object", source="_raw"))
    branch = compile_plan([mapping], {"thing": target}).branches[0]
    assert [c.rule for c in branch.checks] == []
    assert branch.fields == ("a", "_raw")


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        (_mapping(FieldMapping(field="nope", source="a")), "thing has no field nope."),
        (_mapping(FieldMapping(field="id", source="a"), FieldMapping(field="id", source="b")), "field id is mapped twice."),
        (_mapping(FieldMapping(field="id", source="a", steps=(Step(step="trimm"),))), "field id, step 1 (trimm): there is no step trimm. Did you mean trim?"),
        (_mapping(FieldMapping(field="id", sql="lowr(a)")), "field id: the function lowr is not allowed. Did you mean lower?"),
        (_mapping(where="a"), "where: the expression gives VARCHAR, not true or false."),
        (_mapping(rules=(Rule(id="r", operator="range", field="id"),)), "rule r: give min, max or both."),
        (_mapping(rules=(Rule(id="r", operator="regex", field="id", value="("),)), "rule r: the pattern '(' is not valid: missing ): (."),
        (_mapping(rules=(Rule(id="r", operator="required"),)), "rule r: the operator required needs a field."),
        (_mapping(rules=(Rule(id="r", operator="required", field="x"),)), "rule r: thing has no field x."),
        (_mapping(rules=(Rule(id="r", operator="date_order", field="id", value="at"),)), "rule r: date_order needs date or timestamp fields."),
        (_mapping(rules=(Rule(id="r", operator="reference", field="id", value="nope.id"),)), "rule r: there is no target model nope."),
        (_mapping(rules=(Rule(id="r", operator="expression", value="n + 1"),)), "rule r: the expression gives BIGINT, not true or false."),
        (_mapping(rules=(Rule(id="r", operator="expression", value="idd = '1'"),)), "rule r: there is no field idd. Did you mean id?"),
        (_mapping(rules=(Rule(id="r", operator="in", field="id", value=["x"]), Rule(id="r", operator="required", field="id"))), "two rules have the id r."),
        (_mapping(rules=(Rule(id="r", operator="range", field="at", value={"min": "soon"}),)), "rule r: soon is not a date such as 2024-01-31."),
    ],
)  # fmt: skip
def test_what_cannot_run_is_refused_with_its_place_and_reason(mapping: Mapping, message: str) -> None:
    assert _refusal(mapping) == message


def test_a_row_that_cannot_be_computed_does_not_stop_its_neighbours() -> None:
    mapping = _mapping(
        FieldMapping(field="id", source="a"), FieldMapping(field="n", sql="sqrt(a::double)::bigint")
    )
    rows = _run(mapping, [{"a": str(i - 1500)} for i in range(3000)])
    assert sum(row["_mask"] != 0 for row in rows) == 1500
    assert rows[1504]["n"] == 2


def test_lineage_names_sources_steps_and_rules_of_a_field() -> None:
    mapping = _mapping(
        FieldMapping(
            field="id", source="a", steps=(Step(step="trim"), Step(step="concat", options={"fields": ["b"]}))
        ),
        FieldMapping(field="n", sql="length(c)"),
        FieldMapping(field="at", constant="2024-01-31"),
        rules=(Rule(id="r", operator="compare", field="n", value={"is": ">", "value": 1}),),
    )
    found = lineage(mapping)
    assert (found["id"].sources, found["id"].steps) == (("a", "b"), ("Trim spaces", "Join fields"))
    assert (found["n"].sources, found["n"].rules) == (("c",), ("r",))
    assert found["at"].origin == "always 2024-01-31"


def test_the_way_of_a_value_shows_it_after_every_step() -> None:
    mapping = _mapping(FieldMapping(field="id", source="a", steps=(Step(step="trim"), Step(step="upper"))))
    branch = compile_plan([mapping], {"thing": THING}).branches[0]
    way = chain(branch, "id", {"thing": THING})
    assert [stage.title for stage in way.stages] == ["Source", "Trim spaces", "Upper case", "Stored"]
    assert duckdb.connect().execute(f"WITH source AS (SELECT ' x ' AS a) {way.sql}").fetchall() == [
        (" x ", "x", "X", "X")
    ]


@settings(deadline=None, max_examples=50)
@given(
    values=st.lists(st.text(max_size=12), min_size=1, max_size=8),
    low=st.none() | st.integers(0, 12),
    high=st.none() | st.integers(0, 12),
)
def test_a_length_is_counted_in_characters_however_many_bytes_they_have(
    values: list[str], low: int | None, high: int | None
) -> None:
    assume(low is not None or high is not None)
    # What a person takes for one character may be several to Unicode; DuckDB's count is the one that is told.
    ends = {name: end for name, end in (("min", low), ("max", high)) if end is not None}
    mapping = _mapping(
        FieldMapping(field="id", source="a"), rules=(Rule(id="r", operator="length", field="id", value=ends),)
    )
    branch = compile_plan([mapping], {"thing": THING}).branches[0]
    (bit,) = (check.bit for check in branch.checks if check.rule == "r")
    rows = ", ".join(["(?)"] * len(values))
    database = duckdb.connect()
    types.register(database)
    found = database.execute(
        f"WITH source AS (SELECT a FROM (VALUES {rows}) t(a)) SELECT _mask >> {bit} & 1 FROM ({branch.sql})",
        values,
    ).fetchall()
    counted = [database.execute("SELECT length(?)", [v]).fetchall()[0][0] for v in values]
    expected = [(low is not None and n < low) or (high is not None and n > high) for n in counted]
    assert [bool(row[0]) for row in found] == expected


def test_a_value_used_by_many_is_computed_once() -> None:
    steps = (Step(step="json_path", options={"path": "$.x"}), Step(step="mask"))
    mapping = _mapping(
        FieldMapping(field="id", source="a", steps=steps),
        rules=tuple(Rule(id=f"r{i}", operator="length", field="id", value={"min": i + 1}) for i in range(5)),
    )
    branch = compile_plan([mapping], {"thing": THING}).branches[0]
    assert branch.sql.lower().count("json_extract_string(") == 1
    database = duckdb.connect()
    database.execute("CREATE TABLE source (a VARCHAR)")
    plan = database.execute(f"EXPLAIN {branch.sql}").fetchall()[0][1]
    assert plan.lower().count("json_extract_string") <= 1


def test_stix_objects_map_as_they_are(shared_data: Path) -> None:
    bundle = json.loads(
        (shared_data / "attack-stix-data" / "ics-attack-18.1.json").read_text(encoding="utf-8")
    )
    rows = bundle["objects"]
    plan = compile_plan(stix_mappings(), TARGETS)
    names = sorted({name for branch in plan.branches for name in branch.fields} - {"_raw"})
    database = duckdb.connect()
    types.register(database)
    database.execute(
        "CREATE TABLE whole AS SELECT unnest($1::VARCHAR[])::JSON AS _raw",
        [[json.dumps(row) for row in rows]],
    )
    shape = json.dumps(dict.fromkeys(names, "VARCHAR")).replace("'", "''")
    database.execute(f"CREATE TABLE source AS SELECT _raw, unnest(from_json(_raw, '{shape}')) FROM whole")
    left, passed = "TRUE", 0
    for branch in plan.branches:
        met = f"({branch.where})" if branch.where else "TRUE"
        out = database.execute(
            f"WITH source AS (SELECT * FROM source WHERE {left} AND {met}) {branch.sql}"
        ).fetchall()
        passed += len(out)
        broken = [c.message for row in out for c in explain(branch, row[-1])]
        assert broken == [], branch.target.name
        left += f" AND NOT coalesce({met}, FALSE)"
    assert passed == len(rows)
