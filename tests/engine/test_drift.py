"""Drift is told where a source has changed, and never where it has not: shuffled, sparse, longer, or by chance."""

from __future__ import annotations

import random

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import drift_patch, drift_types
from engine.drift import Finding, compare, gone_by_chance, learned
from engine.drift_look import MARKS, Look, Looking
from engine.model import Mapping
from engine.targets import TARGETS

Row = dict[str, object]


def looked(rows: list[Row], columns: list[str] | None = None) -> Look:
    looking = Looking()
    if columns is not None:
        looking.header(columns)
    for row in rows:
        looking.add({name: ((name,), None if v is None else str(v)) for name, v in row.items()})
    return looking.look()


def rows(count: int, seed: int = 1) -> list[Row]:
    """Indicators with a rare note, as a feed sends them."""
    r = random.Random(seed)
    return [
        {
            "indicator": f"203.0.{r.randrange(256)}.{r.randrange(256)}",
            "seen": f"2026-03-{1 + r.randrange(28):02}T0{r.randrange(9)}:00:00Z",
            "confidence": r.randrange(0, 101, 5),
            "tlp": r.choice(["green", "amber", "red"]),
            "note": f"case {r.randrange(9000)}" if r.random() < 0.03 else None,
        }
        for _ in range(count)
    ]


def renamed(found: list[Row], **names: str) -> list[Row]:
    return [{names.get(name, name): value for name, value in row.items()} for row in found]


def told(findings: tuple[Finding, ...]) -> set[tuple[str, str, str]]:
    return {(f.kind, f.field, f.to) for f in findings}


KNOWN = looked(rows(2000))


@settings(max_examples=60, deadline=None)
@given(count=st.integers(0, 900), seed=st.integers(0, 10_000), order=st.permutations(range(5)))
def test_more_fewer_or_shuffled_rows_and_columns_are_no_drift(
    count: int, seed: int, order: list[int]
) -> None:
    found = rows(count, seed)
    names = ["indicator", "seen", "confidence", "tlp", "note"]
    shuffled = [{names[i]: row[names[i]] for i in order} for row in found]
    assert compare(KNOWN, looked(shuffled)) == ()
    assert compare(KNOWN, looked(shuffled, [names[i] for i in order])) == ()


@settings(max_examples=60, deadline=None)
@given(
    share=st.floats(0.001, 0.2),
    known=st.integers(5, 3000),
    count=st.integers(1, 300),
    seed=st.integers(0, 999),
)
def test_a_sparse_field_is_not_gone_because_a_small_payload_lacks_it(
    share: float, known: int, count: int, seed: int
) -> None:
    r = random.Random(seed)
    before = [{"a": n, "rare": n if r.random() < share else None} for n in range(known)]
    # Chance alone must explain an absence of these rows more often than once in a thousand times.
    if (1 - share) ** count > 0.001:
        assert compare(looked(before), looked([{"a": n} for n in range(count)])) == ()


def test_a_field_of_three_per_cent_is_gone_after_thousands_of_rows_and_not_after_hundreds() -> None:
    without = renamed(rows(6000, 9))
    for row in without:
        del row["note"]
    assert compare(KNOWN, looked(without[:400])) == ()
    (finding,) = compare(KNOWN, looked(without))
    assert (finding.kind, finding.field, finding.of) == ("vanished", "note", 6000)
    assert "of 2,000 rows looked at before and has one in none of 6,000" in finding.says
    assert gone_by_chance(60, 2000, 6000) < 1e-6 < gone_by_chance(60, 2000, 400)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(
        [("indicator", "ioc"), ("confidence", "score"), ("seen", "first_observed"), ("tlp", "marking")]
    ),
    st.integers(0, 999),
    st.booleans(),
)
def test_a_renamed_field_is_followed_by_its_values_type_or_name(
    pair: tuple[str, str], seed: int, header: bool
) -> None:
    old, new = pair
    found = renamed(rows(400, seed), **{old: new})
    (finding,) = compare(KNOWN, looked(found, list(found[0]) if header else None))
    assert (finding.kind, finding.field, finding.to) == ("rename", old, new)
    assert finding.likelihood >= 0.5
    assert f"{old} is called {new} now" in finding.says


def test_two_fields_that_changed_places_are_two_renames() -> None:
    by_type = renamed(rows(300, 4), seen="confidence", confidence="seen")
    assert told(compare(KNOWN, looked(by_type))) == {
        ("rename", "seen", "confidence"),
        ("rename", "confidence", "seen"),
    }
    words = [{"a": f"word{n % 9}", "b": f"name{n % 7}"} for n in range(300)]
    swapped = renamed(words, a="b", b="a")
    assert told(compare(looked(words), looked(swapped))) == {("rename", "a", "b"), ("rename", "b", "a")}


def test_an_unlike_field_in_place_of_a_lost_one_is_one_gone_and_one_new() -> None:
    found = rows(400, 5)
    for row in found:
        del row["tlp"]
        row["reporter_url"] = f"https://example.org/{row['confidence']}"
    assert told(compare(KNOWN, looked(found))) == {("vanished", "tlp", ""), ("new", "reporter_url", "")}


def test_a_type_that_changed_is_told_with_both_types_and_counts() -> None:
    found = rows(200, 6)
    for row in found:
        row["seen"] = 1_770_000_000
    (finding,) = compare(KNOWN, looked(found))
    assert (finding.kind, finding.was, finding.now, finding.rows, finding.of) == (
        "type",
        "time",
        "integer",
        200,
        200,
    )
    assert "held times and holds whole numbers now" in finding.says


@pytest.mark.parametrize("value", ["n/a", "", None, "-"])
def test_a_word_for_nothing_is_no_other_type(value: object) -> None:
    found = rows(200, 7)
    for row in found[::2]:
        row["confidence"] = value
    assert compare(KNOWN, looked(found)) == ()


def test_a_few_odd_values_are_no_change_of_type() -> None:
    found = rows(400, 8)
    for row in found[:6]:
        row["confidence"] = "high"
    assert compare(KNOWN, looked(found)) == ()


def test_text_that_happens_to_be_numbers_is_still_text() -> None:
    known = looked([{"a": f"AS{n}"} for n in range(300)])
    assert compare(known, looked([{"a": n} for n in range(50)])) == ()


def test_a_new_column_is_new_at_once_and_a_rare_key_only_when_it_comes_often() -> None:
    known = looked(rows(50), list(rows(1)[0]))
    wider = [{**row, "asn": None} for row in rows(3, 2)]
    assert told(compare(known, looked(wider, list(wider[0])))) == {("new", "asn", "")}
    few = rows(100, 3)
    few[0]["extra"] = "once"
    assert compare(looked(rows(50)), looked(few)) == ()
    for row in few:
        row["extra"] = "always"
    assert told(compare(looked(rows(200)), looked(few))) == {("new", "extra", "")}


def test_objects_whose_keys_are_data_have_no_fields_that_come_and_go() -> None:
    def votes(seed: int) -> Look:
        looking = Looking()
        for n in range(200):
            key = f"user{seed + n}"
            looking.add(
                {"id": (("id",), str(n)), "votes": (("votes",), "{}"), f"votes.{key}": (("votes", key), "1")}
            )
        return looking.look()

    assert compare(votes(0), votes(5000)) == ()


def test_a_field_that_was_missing_in_a_run_before_is_not_gone_when_it_is_missing_again() -> None:
    bursts = [{"a": n, "b": n if n < 200 else None} for n in range(400)]
    without = [{"a": n} for n in range(300)]
    known = looked(bursts)
    assert told(compare(known, looked(without))) == {("vanished", "b", "")}
    assert compare(learned(known, looked(without)), looked(without)) == ()


def test_what_is_known_stays_small_however_many_runs_it_is_learned_from() -> None:
    known = KNOWN
    for seed in range(60):
        known = learned(known, looked(rows(500, seed)))
    assert max(len(f.marks) for f in known.fields) <= MARKS
    assert compare(known, looked(rows(300, 77))) == ()
    for _ in range(20):
        known = learned(known, known)
    assert known.rows <= 200_000


VALUES = st.one_of(
    st.text(max_size=12),
    st.integers().map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(str),
    st.sampled_from(
        ["n/a", "-", "true", "No", "2026-03-01", "2026-03-01T10:00:00Z", "[1]", '{"a": 1}', "203.0.113.7",
         "hxxp://a.example/x", "https://a.example", "d41d8cd98f00b204e9800998ecf8427e", "2001:db8:0:1::2", "12:30",
         " 5 ", "1,5", "\n", "1e400", "a\nb", "[1,\n2]", "12345678901234567890123456789012"]
    ),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(VALUES, st.sampled_from(sorted(set(drift_types.ONE))))
def test_python_and_sql_agree_on_what_is_of_a_type(value: str, type: str) -> None:
    if "\0" in value or value.strip() != value.strip(" "):
        return
    tagged = drift_types.tag(value.strip(" "))
    said = CONNECTION.execute(
        f"SELECT {drift_types.misfit('v', type)} FROM (SELECT ? AS v)", [value]
    ).fetchone()
    assert said == (bool(tagged) and not drift_types.fits(type, tagged),)


CONNECTION = duckdb.connect()


MAPPED = Mapping.model_validate(
    {
        "target": "indicator",
        "fields": [
            {"field": "value", "from": "a", "steps": [{"step": "canonical", "options": {"kind_field": "b"}}]},
            {"field": "name", "sql": "upper(a) || b || 'a'"},
            {
                "field": "description",
                "from": "note",
                "steps": [{"step": "concat", "options": {"fields": ["a", "c"]}}],
            },
        ],
        "where": "b <> 'x' AND c IS NOT NULL",
        "explode": "c",
        "rules": [{"id": "told", "operator": "required", "field": "description"}],
    }
)


def test_a_name_is_followed_wherever_it_stands_and_two_can_change_places() -> None:
    found = drift_patch.followed(MAPPED, {"a": "b", "b": "a", "c": "d e"})
    assert found.fields[0].source == "b"
    assert found.fields[0].steps[0].options == {"kind_field": "a"}
    assert found.fields[1].sql == 'UPPER("b") || "a" || \'a\''
    assert found.fields[2].steps[0].options == {"fields": ["b", "d e"]}
    assert found.where == '"a" <> \'x\' AND NOT "d e" IS NULL'
    assert found.explode == "d e"
    assert drift_patch.followed(MAPPED, {"elsewhere": "x"}) == MAPPED


def test_what_is_gone_goes_with_its_rules_but_what_is_required_stays() -> None:
    indicator = TARGETS["indicator"]
    left, said = drift_patch.without(MAPPED, "note", indicator)
    assert [item.field for item in left.fields] == ["value", "name"]
    assert left.rules == ()
    assert said == ["Rules about description go with it."]
    kept = Mapping.model_validate({"target": "indicator", "fields": [{"field": "id", "from": "key"}]})
    same, said = drift_patch.without(kept, "key", indicator)
    assert same == kept
    assert said == ["id is required and was made of key: say where it comes from now."]
