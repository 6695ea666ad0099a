"""Rules are suggested from the values, told in words, and tried on real rows by the plan itself."""

from __future__ import annotations

from typing import Any

import pytest

from app.client import Client
from engine.model import Rule
from engine.rulewords import says

TEXT = "ip,seen,until,score,note\n" + "".join(
    f"203.0.113.{i},2026-01-{i % 27 + 1:02},2026-02-01,{i * 3},{'a' if i % 2 else 'b'}\n"
    for i in range(1, 41)
)
MAPPING: dict[str, Any] = {
    "target": "indicator",
    "fields": [
        {"field": "id", "from": "ip", "steps": [{"step": "stix_id"}]},
        {"field": "type", "from": "ip", "steps": [{"step": "recognise"}]},
        {"field": "value", "from": "ip"},
        {"field": "valid_from", "from": "seen"},
        {"field": "valid_until", "from": "until"},
        {"field": "confidence", "from": "score"},
    ],
}


@pytest.fixture
def source(client: Client) -> str:
    return client.create_source(text=TEXT, name="scores").source.id


def test_rules_are_suggested_with_how_many_rows_each_would_catch_now(client: Client, source: str) -> None:
    told = client.rule_offers(source, [MAPPING])
    by = {(o.judged.rule.operator, o.judged.rule.field): o for o in told.offers}

    scored = by["range", "confidence"]
    assert (scored.judged.says, scored.judged.caught, scored.judged.rows) == (
        "confidence is at least 0 and at most 100", 7, 40,
    )  # fmt: skip
    assert scored.judged.examples[0].values == {"confidence": 102}
    assert ("date_order", "valid_until") in by
    assert by["volume", None].judged.holds is True
    assert told.extent == "all 40 rows"


def test_a_rule_catches_when_tried_what_it_catches_in_a_preview(client: Client, source: str) -> None:
    rules = [
        {"id": "high", "operator": "range", "field": "confidence", "value": {"max": 90}},
        {"id": "order", "operator": "date_order", "field": "valid_until", "value": {"after": "valid_from"}},
        {"id": "own", "operator": "expression", "value": {"sql": "confidence > 3 OR confidence IS NULL"}},
        {"id": "one", "operator": "unique", "field": "valid_from"},
        {"id": "fresh", "operator": "freshness", "field": "valid_from", "value": {"within": "1 days"}},
    ]
    told = {j.rule.id: j for j in client.try_rules(source, [MAPPING], rules).rules}
    shown = client.preview(source, [{**MAPPING, "rules": rules}])

    for id in ("high", "order", "own"):
        assert told[id].caught == sum(any(f["rule"] == id for f in row.failed) for row in shown.rows)
    assert told["high"].caught == 10
    assert told["own"].caught == 1
    assert told["one"].caught == 13
    assert told["fresh"].holds is False


@pytest.mark.parametrize(
    ("operator", "field", "value", "words"),
    [
        ("required", "a", None, "a has a value"),
        ("range", "a", {"min": 3}, "a is at least 3"),
        ("in", "a", ["x", "y"], "a is one of x, y"),
        ("in", "a", {"vocabulary": "tlp"}, "a is one of the vocabulary tlp"),
        ("unique", "a", {"fields": ["b"]}, "a occurs once, together with b"),
        ("date_order", "a", "b", "a is not before b"),
        ("compare", "a", {"is": "<=", "value": 5}, "a is at most 5"),
        ("volume", None, [1, 9], "a run brings at least 1 and at most 9 rows, counting those accepted"),
    ],
)
def test_a_rule_is_a_sentence(operator: Any, field: str | None, value: Any, words: str) -> None:
    assert says(Rule(id="r", operator=operator, field=field, value=value)) == words


def test_every_operator_has_a_sentence(client: Client) -> None:
    assert all(view.sentence for view in client.operators())
