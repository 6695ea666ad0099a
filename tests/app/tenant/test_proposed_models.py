"""A target model is proposed from a source; versions differ in words."""

from __future__ import annotations

from typing import Any

from app.client import Client

TEXT = """Ticket No,srcIP,First Seen,Risk %,Tags,ZIP
T-1,203.0.113.1,2026-01-02,5,a;b,01234
T-2,203.0.113.2,2026-01-03,7,b;c,04321
T-3,203.0.113.1,2026-01-03,7,c,12345
"""


def test_a_model_is_proposed_with_tidy_names_types_kinds_and_a_unique_key(client: Client) -> None:
    made = client.create_source(text=TEXT, name="Tickets")
    told = client.propose_target(made.source.id)

    assert [(f.name, f.type.value, f.kind, f.title) for f in told.model.fields] == [
        ("ticket_no", "text", None, "Ticket No"),
        ("src_ip", "text", "ipv4", "srcIP"),
        ("first_seen", "date", None, "First Seen"),
        ("risk_percent", "integer", None, "Risk %"),
        ("tags", "text[]", None, "Tags"),
        ("zip", "text", None, "ZIP"),
    ]
    assert told.model.key == ("ticket_no",)
    assert told.sources["src_ip"] == "srcIP"
    assert "begin with a zero" in told.reasons["zip"]
    assert client.create_target(told.model.model_dump(mode="json")).target.name == "tickets"
    assert client.propose_target(made.source.id).model.name == "tickets-2"


def test_where_no_field_is_unique_two_together_are_the_key(client: Client) -> None:
    made = client.create_source(text="host,day,n\na,1,5\na,2,5\nb,1,5\nb,2,5\n", name="pairs")
    assert client.propose_target(made.source.id).model.key == ("host", "day")


def test_versions_differ_in_words(client: Client) -> None:
    def mapping(value: dict[str, Any], *rules: Any, **more: Any) -> dict[str, Any]:
        return {"target": "indicator", "fields": [{"field": "value", **value}], "rules": list(rules), **more}

    rule = {"id": "r", "operator": "range", "field": "confidence", "value": {"min": 0, "max": 100}}
    before = mapping(
        {"from": "a", "steps": [{"step": "trim"}, {"step": "split", "options": {"by": ";"}}]}, rule
    )
    after = mapping(
        {"from": "b", "steps": [{"step": "split", "options": {"by": ","}}, {"step": "lower"}]},
        {**rule, "severity": "warn"},
        where="\"type\" = 'ip'",
    )
    after["fields"].append({"field": "threat", "constant": "x"})

    told = [change.says for change in client.difference([before], [after])]
    assert told == [
        "the rows it takes: now \"type\" = 'ip'",
        "value: “Trim spaces” goes; “Split” (by ;) becomes “Split” (by ,); “Lower case” is added as step 2",
        "value comes from b, no longer from a",
        "threat is mapped, from the constant x",
        "rule r: where it does not hold, note it, no longer put the row into quarantine",
    ]
    assert client.difference([before], [before]) == []
