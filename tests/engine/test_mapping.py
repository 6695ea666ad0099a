"""Mappings as YAML, SQL and addresses: what goes out comes back, and what is wrong is told by its line."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.mapping import address, difference, from_yaml, to_yaml
from engine.model import FieldMapping, Mapping, Rule, Step, TargetField, TargetModel
from engine.sqltext import from_sql, to_sql
from engine.steps import BadMapping

FIELDS = ("value", "n", "at", "labels", "yes", "obj", "score", "day")
THING = TargetModel(
    name="thing",
    key=("value",),
    fields=tuple(
        TargetField(name=name, type=kind)
        for name, kind in zip(
            FIELDS,
            ("text", "integer", "timestamp", "text[]", "boolean", "json", "decimal", "date"),
            strict=True,
        )
    ),
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
    lambda n: not n.lower().startswith("_spire_") and "\0" not in n
)
some = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


def _step(name: str, **options: Any) -> st.SearchStrategy[Step]:
    return st.fixed_dictionaries({}, optional=None).flatmap(
        lambda _: st.fixed_dictionaries(options).map(lambda o: Step(step=name, options=o))
    )


STEPS = st.one_of(
    st.sampled_from(
        ["trim", "collapse_spaces", "lower", "upper", "title_case", "texts", "boolean", "hash"]
    ).map(lambda name: Step(step=name)),
    _step("prefix", text=some),
    _step("split", by=some, part=st.one_of(st.none(), st.integers(1, 9), st.integers(-9, -1))),
    _step("replace", find=some, **{"with": texts}),
    _step("default", value=texts),
    _step("null_if", values=st.lists(texts, min_size=1, max_size=3)),
    _step("concat", fields=st.lists(names, min_size=1, max_size=3), **{"with": texts}),
    _step("substring", start=st.integers(1, 9), length=st.integers(1, 9)),
    _step("mask", keep_last=st.integers(0, 9)),
    _step("parse_date", formats=st.sampled_from(["iso", "epoch", ["%d.%m.%Y"], ["%Y"]])),
    _step("scale", factor=st.floats(-1e6, 1e6), offset=st.floats(-1e6, 1e6)),
    _step(
        "map",
        values=st.dictionaries(
            st.from_regex(r"[a-z0-9 ]{1,6}", fullmatch=True).map(str.strip), texts, max_size=4
        ),
    ),
)
ORIGINS = st.one_of(
    st.fixed_dictionaries({"source": names}),
    st.fixed_dictionaries(
        {
            "constant": st.one_of(
                texts, st.booleans(), st.integers(), st.floats(-1e9, 1e9), st.lists(texts, max_size=3)
            )
        }
    ),
    st.fixed_dictionaries(
        {
            "sql": st.sampled_from(
                ["lower(a)", "a || 'x'", "a::int + 1", "case when a = '1' then 'it''s' end", "1"]
            )
        }
    ),
)
RULES = st.one_of(
    st.just({"operator": "required"}),
    st.fixed_dictionaries({"operator": st.sampled_from(["in", "not_in"]), "value": st.lists(texts, min_size=1, max_size=3)}),
    st.fixed_dictionaries({"operator": st.just("length"), "value": st.fixed_dictionaries({"min": st.integers(0, 9)})}),
    st.fixed_dictionaries({"operator": st.just("regex"), "value": st.just({"pattern": r"\d+"})}),
)  # fmt: skip


@st.composite
def mappings(draw: st.DrawFn) -> Mapping:
    used = draw(st.lists(st.sampled_from(FIELDS), unique=True, min_size=1, max_size=5))
    fields = tuple(
        FieldMapping(field=name, steps=tuple(draw(st.lists(STEPS, max_size=3))), **draw(ORIGINS))
        for name in used
    )
    rules = tuple(
        Rule(id=f"r{n}", field="value", message=draw(texts), **rule)
        for n, rule in enumerate(draw(st.lists(RULES, max_size=3)))
    )
    where = draw(
        st.one_of(st.none(), st.sampled_from(["a = 'x'", "length(b) > 3", "a IS NOT NULL and b <> 'it''s'"]))
    )
    explode = draw(st.one_of(st.none(), names))
    return Mapping(target="thing", fields=fields, rules=rules, where=where, explode=explode)


@given(mappings())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_yaml_comes_back_the_same_to_the_byte(mapping: Mapping) -> None:
    text = to_yaml(mapping)
    back = from_yaml(text)
    assert back == mapping
    assert to_yaml(back) == text
    assert address(back) == address(mapping)


@given(mappings())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_sql_comes_back_the_same_to_the_byte(mapping: Mapping) -> None:
    targets = {"thing": THING}
    text = to_sql(mapping, targets)
    back = from_sql(text, targets)
    assert back == mapping
    assert to_sql(back, targets) == text


SMALL = """\
target: thing
where: a = 'x'
fields:
  value:
    from: ip
    steps:
    - trim
    - split:
        by: ','
        part: 1
  n:
    constant: 50
rules:
- id: limits
  operator: range
  field: n
  value:
    max: 100
    min: 0
"""


def test_the_yaml_is_what_a_person_would_write() -> None:
    mapping = from_yaml(SMALL)
    assert mapping.fields[0].steps[1] == Step(step="split", options={"by": ",", "part": 1})
    assert to_yaml(mapping) == SMALL


def test_a_field_may_be_written_short() -> None:
    assert from_yaml("target: thing\nfields:\n  value: ip\n").fields == (
        FieldMapping(field="value", source="ip"),
    )


def test_words_that_yaml_would_turn_into_something_else_stay_words() -> None:
    mapping = from_yaml(
        "target: thing\nfields:\n  value:\n    from: on\n    steps:\n    - default: {value: 2024-01-31}\n"
    )
    assert mapping.fields[0].source == "on"
    assert mapping.fields[0].steps[0].options == {"value": "2024-01-31"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("target: x\nfields:\n  a: &b {from: c}\n  d: *b\n", "line 3: anchors and aliases are not allowed."),
        ("target: x\nfields:\n  a: !!python/object:os.system {}\n", "line 3: tags are not allowed."),
        ("target: x\nfields:\n  a:\n    from: c\n    frm: d\n", "line 5: frm is not known here."),
        ("target: x\nfields:\n  a: b\n  a: c\n", "line 4: a stands twice."),
        ("target: x\nfields:\n  a: b\nrules:\n- id: r\n  operator: nope\n", "line 6: operator: Input"),
        (
            "target: x\nfields:\n  a:\n    steps: [trim]\n",
            "line 3: a: give exactly one of from, constant and sql.",
        ),
        ("target: x\nfields:\n  a: {from: b, steps: trim}\n", "line 3: `steps` is a list."),
        ("target: x\nfields:\n- a\n", "line 2: `fields` is"),
        ("- a\n", "line 1: a mapping begins with `target:`."),
        ("", "line 1: a mapping begins with `target:`."),
        ("a: [", "line 1: this is not YAML:"),
        ("a: \x07", "This is not YAML: it holds characters"),
        ("[" * 50, "line 1: this is too deep or too long for a mapping."),
        ("x" * 1_000_001, "The mapping is longer than 1000000 characters."),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, message: str) -> None:
    with pytest.raises(BadMapping) as refusal:
        from_yaml(text)
    assert refusal.value.where.startswith(message)


def test_the_address_names_the_content_and_nothing_else() -> None:
    mapping = from_yaml(SMALL)
    assert address(mapping) == address(from_yaml(SMALL.replace("- trim\n", "- trim: {}\n")))
    assert address(mapping) != address(from_yaml(SMALL.replace("50", "51")))


def test_a_difference_is_told_by_what_changed() -> None:
    new = SMALL.replace("    - trim\n", "").replace("max: 100", "max: 90").replace("constant: 50", "from: c")
    new = new.replace("  n:\n", "  at: seen\n  n:\n").replace("where: a = 'x'\n", "")
    changes = difference(from_yaml(SMALL), from_yaml(new))
    assert [(c.what, c.name, c.how, c.part) for c in changes] == [
        ("where", "where", "removed", ""),
        ("field", "value", "changed", "steps"),
        ("field", "n", "changed", "origin"),
        ("field", "at", "added", ""),
        ("rule", "limits", "changed", "value"),
    ]
    assert changes[4].before == {"max": 100, "min": 0}
    assert difference(from_yaml(SMALL), from_yaml(SMALL)) == ()


EDITABLE = Mapping(
    target="thing",
    where="a <> ''",
    fields=(
        FieldMapping(field="value", source="ip", steps=(Step(step="lower"),)),
        FieldMapping(field="n", source="c"),
    ),
)


def _edit(before: str, after: str) -> Mapping:
    text = to_sql(EDITABLE, {"thing": THING})
    assert before in text
    return from_sql(text.replace(before, after), {"thing": THING})


def test_an_edited_line_becomes_sql_for_its_field_and_leaves_the_others() -> None:
    mapping = _edit('LOWER("ip") AS "value"', "upper(ip) || '!' AS value")
    assert mapping.fields[0] == FieldMapping(field="value", sql="UPPER(ip) || '!'")
    assert mapping.fields[1:] == EDITABLE.fields[1:]
    assert from_sql(to_sql(mapping, {"thing": THING}), {"thing": THING}) == mapping


def test_lines_can_be_added_and_taken_away() -> None:
    assert _edit('"c" AS "n"', '"c" AS "n", seen AS at').fields[-1] == FieldMapping(field="at", sql="seen")
    text = to_sql(EDITABLE, {"thing": THING}).splitlines()
    start = next(i for i, line in enumerate(text) if line.startswith("  CASE WHEN"))
    del text[start]
    text[start - 1] = text[start - 1].rstrip(",")
    gone = "\n".join(text).replace('AS "value",\n    "c" AS "n"', 'AS "value"')
    assert [f.field for f in from_sql(gone, {"thing": THING}).fields] == ["value"]


def test_the_condition_can_be_edited_and_layout_does_not_matter() -> None:
    assert _edit("WHERE \"a\" <> ''", "WHERE a = 'x'").where == "a = 'x'"
    assert _edit("  FROM source", "\n\n  FROM   source  ") == EDITABLE


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('LOWER("ip")', "read_text(ip)", "field value: the function read_text is not allowed."),
        ("FROM source", "FROM other", "Only the inner SELECT list and its WHERE can be edited."),
        (") AS mapped", ") AS mapped LIMIT 3", "Only the inner SELECT list and its WHERE can be edited."),
        ('"value" AS "value"', '"value" || 1 AS "value"', "value: the outer SELECT gives types"),
        ('LOWER("ip") AS "value"', 'LOWER("ip")', 'LOWER("ip"): every line needs AS'),
        ("-- mapping: ", "-- ", "The SQL needs exactly one line"),
        ('{"fields"', '{"felds"', "The line `-- mapping:` was changed: "),
        ('{"fields"', '"fields"', "The line `-- mapping:` was changed and is no longer JSON."),
        (") AS mapped", ") AS mapped; DROP TABLE x", "The SQL must stay one SELECT"),
        ("SELECT\n  ", "DELETE FROM x --\n  ", "The SQL"),
    ],
)
def test_an_edit_that_cannot_be_taken_over_says_why(before: str, after: str, message: str) -> None:
    with pytest.raises(BadMapping) as refusal:
        _edit(before, after)
    assert refusal.value.where.startswith(message)
