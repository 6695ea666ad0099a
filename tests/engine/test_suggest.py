"""Suggest: names, values, history, assignment, steps and rules."""

from __future__ import annotations

import itertools
import random

import duckdb
import pytest

from engine import types
from engine.compile import compile_plan
from engine.model import FieldType, TargetField, TargetModel
from engine.profile import Profile, profile
from engine.suggest import Accepted, Suggestion, suggest, suggest_rules, suggest_target
from engine.suggest.assignment import assign
from engine.suggest.names import normalised, words_of
from engine.targets import TARGETS

INDICATOR = TARGETS["indicator"]


def profiled(**columns: list[str | None]) -> Profile:
    connection = duckdb.connect()
    types.register(connection)
    names = ", ".join('"' + name + '" VARCHAR' for name in columns)
    connection.execute(f"CREATE TABLE t ({names})")
    marks = ", ".join("?" * len(columns))
    connection.executemany(f"INSERT INTO t VALUES ({marks})", list(zip(*columns.values(), strict=True)))
    return profile(connection, "t", list(columns), ordinal="rowid")


def pairs(suggestion: Suggestion) -> dict[str, str | None]:
    return {item.field: item.source for item in suggestion.mapping.fields}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("dst_ipAddr", ("dst", "ip", "address")),
        ("First Seen (UTC)", ("first", "seen", "utc")),
        ("firstSeenTs", ("first", "seen", "date")),
        ("Zuletzt gesehen", ("last", "seen")),
        ("最終検知日時", ("last", "seen", "date")),
        ("Впервые замечен", ("first", "seen")),
        ("SHA-256", ("sha256",)),
        ("e-mail", ("email",)),
    ],
)
def test_names_are_cut_and_translated_into_words(name: str, words: tuple[str, ...]) -> None:
    assert words_of(name) == words


def test_spellings_of_a_name_are_one_to_history() -> None:
    assert normalised("First Seen") == normalised("first_seen") == normalised("firstSeen")


def test_an_ipv4_column_is_the_indicator_whatever_it_is_called() -> None:
    found = suggest(profiled(zzz=["192.0.2.1", "198.51.100.2"], qqq=["some words", "other words"]), INDICATOR)
    value = found.field("value")
    assert value.accepted
    assert value.best is not None
    assert value.best.source == "zzz"
    assert "100 % of the values are ipv4" in value.best.reasons


def test_a_column_named_email_that_holds_no_addresses_is_not_the_email() -> None:
    found = suggest(
        profiled(email=["yes", "no"], contact=["ana@example.com", "ben@example.org"]), TARGETS["contact"]
    )
    assert pairs(found)["email"] == "contact"


def test_failing_values_cap_the_score_and_say_so() -> None:
    found = suggest(profiled(first_seen=["a word", "another"]), INDICATOR).field("first_seen")
    assert not found.accepted
    assert found.best is not None
    assert found.best.score == 35
    assert "so the score is held at 35" in found.best.reasons


def test_every_pair_shows_its_runner_up() -> None:
    found = suggest(
        profiled(first_seen=["2024-05-01"], first_observed=["2024-05-01"], ip=["192.0.2.1"]), INDICATOR
    ).field("first_seen")
    assert found.best is not None
    assert found.runner_up is not None
    assert (found.best.source, found.runner_up.source) == ("first_seen", "first_observed")
    assert found.best.score >= found.runner_up.score


def test_history_decides_where_the_name_says_nothing() -> None:
    held = profiled(x1=["some words", "other words"], ip=["192.0.2.1", "192.0.2.2"])
    assert "description" not in pairs(suggest(held, INDICATOR))
    history = [Accepted(header="X1", target="indicator", field="description", times=3)]
    found = suggest(held, INDICATOR, history).field("description")
    assert found.accepted
    assert found.best is not None
    assert found.best.reasons[0] == "you have mapped this name to it before (3 times)"


def test_history_does_not_overrule_values_that_fail() -> None:
    history = [Accepted(header="word", target="indicator", field="first_seen", times=9)]
    assert not suggest(profiled(word=["a word", "more"]), INDICATOR, history).field("first_seen").accepted


def test_shuffled_columns_give_the_same_mapping() -> None:
    columns: dict[str, list[str | None]] = {
        "md5": ["0cc175b9c0f1b6a831c399e269772661"] * 2,
        "sha256": ["6f1ed002ab5595859014ebf0951522d9a1b3a2e7c9d84e0fa1b2c3d4e5f60718"] * 2,
        "ip": ["192.0.2.1"] * 2,
        "created": ["2024-05-01"] * 2,
        "seen": ["2024-05-01"] * 2,
        "tags": ["a,b"] * 2,
    }
    first = suggest(profiled(**columns), INDICATOR)
    for seed in range(4):
        names = list(columns)
        random.Random(seed).shuffle(names)
        again = suggest(profiled(**{name: columns[name] for name in names}), INDICATOR)
        assert again.mapping == first.mapping
        assert again.fields == first.fields


def test_of_several_indicator_columns_one_is_taken_and_the_rest_are_named() -> None:
    found = suggest(
        profiled(md5=["0cc175b9c0f1b6a831c399e269772661"], sha256=["6f1ed002ab5595859014ebf0951522d9" * 2]),
        INDICATOR,
    )
    assert pairs(found)["value"] == "sha256"
    assert any("several indicators" in note and "md5" in note for note in found.notes)


def test_the_value_also_feeds_original_kind_pattern_and_id() -> None:
    found = pairs(suggest(profiled(ip=["192.0.2.1"]), INDICATOR))
    assert {found[name] for name in ("value", "original", "value_type", "pattern", "id")} == {"ip"}


def test_a_column_of_kinds_tells_the_value_what_it_is() -> None:
    found = suggest(profiled(ioc=["192.0.2.1", "example.com"], ioc_type=["ip-dst", "domain"]), INDICATOR)
    assert pairs(found)["value_type"] == "ioc_type"
    assert found.field("value").steps[-1].options["kind_field"] == "ioc_type"


def test_an_address_of_version_6_is_told_from_one_of_version_4_where_their_word_is_the_same() -> None:
    found = suggest(profiled(ioc=["192.0.2.1", "2001:db8::1"], ioc_type=["ip", "ip"]), INDICATOR)
    step = found.field("value_type").steps[-1]
    assert (step.step, step.options) == ("ip_version", {"value_field": "ioc"})
    assert pairs(found)["value_type"] == "ioc_type"


def test_foreign_words_for_kinds_become_a_value_map() -> None:
    found = suggest(profiled(Indikator=["192.0.2.1"], Typ=["IP-Adresse"]), INDICATOR)
    assert found.field("value_type").steps[0].options["values"] == {"IP-Adresse": "ipv4"}


def test_steps_fit_the_values() -> None:
    found = suggest(
        profiled(
            ioc=["hxxp://bad[.]example[.]com/", "192[.]0[.]2[.]1"],
            first_seen=["25.04.2024", "02.05.2024"],
            last_seen=["1714636800", "1714636801"],
            tags=["a;b", "c"],
            confidence=["0.5", "0.75"],
        ),
        INDICATOR,
    )
    steps = {item.field: [step.step for step in item.steps] for item in found.mapping.fields}
    assert steps["value"] == ["refang", "canonical"]
    assert found.field("first_seen").steps[0].options == {"formats": ["%d.%m.%Y"]}
    assert found.field("last_seen").steps[0].options == {"formats": "epoch"}
    assert found.field("labels").steps[0].options == {"by": ";"}
    assert steps["confidence"] == ["number", "scale", "round"]


def test_ambiguous_dates_are_offered_both_ways_and_not_mapped() -> None:
    found = suggest(profiled(ip=["192.0.2.1"], first_seen=["03/04/2024"]), INDICATOR)
    assert not found.field("first_seen").accepted
    assert len(found.field("first_seen").choices) == 2
    assert any("day first" in note for note in found.notes)


def test_dates_follow_the_order_of_their_neighbours() -> None:
    found = suggest(
        profiled(ip=["192.0.2.1"], first_seen=["03/04/2024"], last_seen=["25/06/2024"]), INDICATOR
    )
    assert found.field("first_seen").steps[0].options == {"formats": ["%d/%m/%Y"]}


def test_the_threshold_decides_what_is_mapped() -> None:
    held = profiled(zzz=["192.0.2.1", "198.51.100.2"])
    assert pairs(suggest(held, INDICATOR, threshold=95)).get("value") is None
    assert suggest(held, INDICATOR, threshold=95).field("value").best is not None


def test_required_fields_without_a_source_are_listed() -> None:
    target = TargetModel(
        name="thing",
        key=("code",),
        fields=(TargetField(name="code", required=True), TargetField(name="size", type=FieldType.INTEGER)),
    )
    found = suggest(profiled(size=["1", "2"], other=["words", "more"]), target)
    assert found.missing == ("code",)
    assert found.unused == ("other",)


def test_the_target_that_suits_comes_first() -> None:
    held = profiled(
        Vorname=["Anna"], Nachname=["Beispiel"], **{"E-Mail": ["anna@example.de"]}, Firma=["Beispiel GmbH"]
    )
    assert suggest_target(held, TARGETS.values())[0].target == "contact"


def test_a_suggested_mapping_runs_as_it_stands() -> None:
    columns: dict[str, list[str | None]] = {
        "ioc": ["hxxp://bad[.]example[.]com/a", "192.0.2.1"],
        "type": ["url", "ip"],
        "seen_first": ["25/04/2024", "03/05/2024"],
        "confidence": ["high", "low"],
        "reference": ["https://example.org/a", "https://example.org/b"],
    }
    found = suggest(profiled(**columns), INDICATOR)
    branch = compile_plan([found.mapping], TARGETS).branches[0]
    connection = duckdb.connect()
    types.register(connection)
    connection.execute(f"CREATE TABLE source ({', '.join(f'{name} VARCHAR' for name in columns)})")
    connection.executemany(
        "INSERT INTO source VALUES (?, ?, ?, ?, ?)", list(zip(*columns.values(), strict=True))
    )
    rows = connection.execute(
        f"SELECT value, value_type, first_seen::VARCHAR, confidence, _mask FROM ({branch.sql}) ORDER BY value"
    ).fetchall()
    assert rows == [
        ("192.0.2.1", "ipv4", "2024-05-03 00:00:00", 15, 0),
        ("http://bad.example.com/a", "url", "2024-04-25 00:00:00", 85, 0),
    ]


@pytest.mark.parametrize("seed", range(20))
def test_the_assignment_is_the_best_there_is(seed: int) -> None:
    chance = random.Random(seed)
    rows, columns = chance.randint(1, 4), chance.randint(1, 5)
    scores = [[chance.choice([0, chance.randint(1, 99)]) for _ in range(columns)] for _ in range(rows)]
    chosen = assign(scores)
    given = [column for column in chosen if column is not None]
    assert len(given) == len(set(given))
    total = sum(scores[row][column] for row, column in enumerate(chosen) if column is not None)
    places = [*range(columns), *[None] * rows]
    best = max(
        sum(scores[row][column] for row, column in enumerate(choice) if column is not None)
        for choice in itertools.permutations(places, rows)
    )
    assert total == best


def test_rules_say_how_many_rows_they_catch_now() -> None:
    held = profiled(
        ip=[f"192.0.2.{i % 250}" for i in range(400)],
        status=["online"] * 250 + ["offline"] * 149 + ["onlnie"],
        description=["some words here"] * 390 + [None] * 10,
        confidence=[str(i % 101) for i in range(400)],
        first_seen=["2024-05-01"] * 400,
        last_seen=["2024-05-02"] * 400,
    )
    mapping = suggest(held, INDICATOR).mapping
    found = {one.rule.id: one for one in suggest_rules(held, mapping, INDICATOR)}
    assert found["status-words"].catches == 1
    assert found["description-required"].catches == 10
    assert found["confidence-range"].catches == 0
    assert found["last-seen-not-before-first-seen"].catches is None
    with_rules = mapping.model_copy(update={"rules": tuple(one.rule for one in found.values())})
    assert compile_plan([with_rules], TARGETS).branches[0].checks
