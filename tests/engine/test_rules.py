"""Rules in words and about whole runs; what they do to rows stands in tests/mappings/rules.txt."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.model import FieldType, Rule, Severity
from engine.rules import OPERATORS, RunCheck, message_of, options_of, run_check_holds
from engine.steps import BadMapping

NOW = datetime(2024, 1, 31, 12, tzinfo=UTC)


def test_every_operator_of_the_model_is_in_the_catalogue_with_words_and_a_schema() -> None:
    operators = Rule.model_fields["operator"].annotation.__args__  # type: ignore[union-attr]
    assert set(OPERATORS) == set(operators)
    for operator in OPERATORS.values():
        assert operator.title
        assert operator.options.model_json_schema()["type"] == "object"


@pytest.mark.parametrize(
    ("operator", "value", "message"),
    [
        ("required", None, "f is missing"),
        ("type", "integer", "f is not a whole number"),
        ("range", [0, 100], "f is not a number between 0 and 100"),
        ("range", {"min": 5}, "f is not a number at least 5"),
        ("length", 32, "f does not have 32 characters"),
        ("regex", "a+", "f does not match the pattern a+"),
        ("in", ["a", "b"], "f is not one of a, b"),
        ("in", [str(i) for i in range(12)], "f is not one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more"),
        ("not_in", {"vocabulary": "tlp"}, "f is one of the vocabulary tlp"),
        ("unique", None, "f occurs more than once"),
        ("reference", "identity.id", "f is no id of a stored identity"),
        ("date_order", {"after": "g"}, "f is before g"),
        ("compare", {"is": "<", "field": "g"}, "f is not less than g"),
        ("freshness", "2 days", "the newest f is older than 2 days"),
        ("volume", {"min": 10}, "the number of rows accepted is not at least 10"),
        ("expression", "f > 1", "the condition f > 1 does not hold"),
    ],
)
def test_a_rule_says_in_plain_words_what_is_wrong(operator: Any, value: Any, message: str) -> None:
    assert message_of(Rule(id="r", operator=operator, field="f", value=value)) == message


def test_words_follow_the_type_of_the_field() -> None:
    rule = Rule(id="r", operator="range", field="f", value=["2024-01-01", "2024-12-31"])
    assert message_of(rule, FieldType.DATE) == "f is not a date between 2024-01-01 and 2024-12-31"
    assert message_of(Rule(id="r", operator="length", field="f", value={"min": 1}), FieldType.TEXTS) == (
        "f does not have at least 1 entries"
    )


@pytest.mark.parametrize(
    ("operator", "value"),
    [
        ("range", None), ("range", {"low": 1}), ("length", {"min": -1}), ("in", None), ("in", []), ("regex", 5),
        ("date_order", {"after": "a", "before": "b"}), ("compare", {"is": "~", "value": 1}), ("freshness", "soon"),
        ("volume", {}), ("reference", "identity"), ("type", None),
    ],
)  # fmt: skip
def test_a_value_that_does_not_suit_its_operator_is_refused(operator: Any, value: Any) -> None:
    with pytest.raises(BadMapping, match="rule r: "):
        options_of(Rule(id="r", operator=operator, field="f", value=value))


@pytest.mark.parametrize(
    ("newest", "holds"),
    [
        (NOW - timedelta(hours=1), True),
        (NOW - timedelta(hours=3), False),
        (None, False),
        (datetime(2024, 1, 31, 11), True),
    ],
)
def test_freshness_holds_while_the_newest_value_is_recent(newest: datetime | None, holds: bool) -> None:
    check = RunCheck("r", "freshness", "at", Severity.WARN, "", within=timedelta(hours=2))
    assert run_check_holds(check, read=1, accepted=1, newest=newest, now=NOW) is holds


@pytest.mark.parametrize(("accepted", "holds"), [(9, False), (10, True), (20, True), (21, False)])
def test_volume_holds_between_its_ends(accepted: int, holds: bool) -> None:
    check = RunCheck("r", "volume", None, Severity.FAIL, "", minimum=10, maximum=20)
    assert run_check_holds(check, read=1000, accepted=accepted, newest=None, now=NOW) is holds
