"""A field is followed step by step, by the very plan that runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.client import Client
from app.wire import MustAct

TEXT = """ip,seen,family,score
203[.]0[.]113[.]7 ,2026-01-02,AsyncRAT,85
198.51.100.23:8080,2026-01-03,asyncrat,many
192.0.2.44,2026-01-04,Cobalt Strike,40
192.0.2.45:443,2026-01-05,cobalt strike,101
"""


def mapping(*steps: Any, **more: Any) -> dict[str, Any]:
    return {
        "target": "indicator",
        "fields": [
            {
                "field": "value",
                "from": "ip",
                "steps": [{"step": s} if isinstance(s, str) else s for s in steps],
            },
            {"field": "threat", "from": "family"},
            {"field": "confidence", "from": "score"},
        ],
        **more,
    }


@pytest.fixture
def source(client: Client) -> str:
    return client.create_source(text=TEXT, name="c2").source.id


def test_a_trace_shows_the_value_after_every_step_and_what_each_changes_or_fails(
    client: Client, source: str
) -> None:
    canonical = {"step": "canonical", "options": {"kind": "ipv4"}}
    told = client.trace(source, [mapping("refang", "trim", canonical)], "value", line=2)

    assert [(s.title, s.value, s.changes, s.fails) for s in told.stages] == [
        ("Source", "203[.]0[.]113[.]7 ", 0, 0),
        ("Refang", "203.0.113.7", 1, 0),
        ("Trim spaces", "203.0.113.7", 0, 0),
        ("Canonical form", "203.0.113.7", 0, 2),
        ("Stored", "203.0.113.7", 0, 0),
    ]
    assert told.line == 2
    assert told.extent == "all 4 rows"
    assert client.trace(source, [mapping("refang", canonical)], "value").line in (3, 5)


def test_what_a_trace_says_of_a_row_is_what_the_preview_says_of_it(client: Client, source: str) -> None:
    rule = {"id": "high", "operator": "range", "field": "confidence", "value": {"min": 0, "max": 100}}
    given = [mapping("refang", "trim", rules=[rule])]
    rows = client.preview(source, given).rows

    for row in rows:
        for field in ("value", "confidence", "threat"):
            told = client.trace(source, given, field, line=row.line)
            assert told.line == row.line
            stored = row.values[field]
            assert told.stages[-1].value == (None if stored is None else str(stored))
            assert {b.rule for b in told.broken if b.here} == {
                f["rule"] for f in row.failed if f["field"] == field
            }
    told = client.trace(source, given, "confidence")
    assert {b.rule: b.rows for b in told.broken} == {"confidence:type": 1, "high": 1}


def test_a_trace_of_an_unmapped_field_says_so(client: Client, source: str) -> None:
    with pytest.raises(MustAct, match="Nothing is mapped"):
        client.trace(source, [mapping("refang")], "labels")


def test_the_sql_of_a_chain_does_what_its_steps_do(client: Client, source: str) -> None:
    given = mapping("refang", "trim", "upper")
    told = client.trace(source, [given], "value")
    written = mapping()
    written["fields"][0] = {"field": "value", "sql": told.sql}

    before = client.preview(source, [given])
    after = client.preview(source, [written])
    assert [r.values["value"] for r in before.rows] == [r.values["value"] for r in after.rows]


def test_a_trace_of_a_large_source_is_quick_and_says_of_how_many_rows(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    path.write_text("ip,n\n" + "".join(f"203.0.{i // 250 % 250}.{i % 250},{i}\n" for i in range(60_000)))
    made = client.create_source(payload=client.upload(path).payload)
    given = [
        {"target": "indicator", "fields": [{"field": "value", "from": "ip", "steps": [{"step": "trim"}]}]}
    ]
    told = client.trace(made.source.id, given, "value", line=1000)
    assert told.line == 1000
    assert told.rows == 200
    assert told.extent.startswith("sample of 200")


def test_offers_name_what_the_values_ask_for_and_what_mends_the_rows_that_fail(
    client: Client, source: str
) -> None:
    given = mapping({"step": "canonical", "options": {"kind": "ipv4"}})
    told = client.offers(source, [given], "value")

    assert [o.title for o in told.next if "port" in o.title] == []
    best = told.repairs[0]
    assert (best.title, best.repairs, best.fails) == ("Take off the port", 2, 2)
    assert (best.before, best.after) == ("198.51.100.23:8080", "198.51.100.23")
    mended = mapping(*[s.model_dump() for s in best.steps])
    assert client.trace(source, [mended], "value").stages[-2].fails == 0


def test_offers_for_a_field_without_steps_begin_with_its_own_values(client: Client, source: str) -> None:
    told = client.offers(source, [mapping()], "threat")
    assert [o.title for o in told.next] == ["Replace by a list", "Lower case"]
    assert told.next[1].changes == 2


def test_ambiguous_dates_are_shown_in_both_readings_with_the_sources_own_values(client: Client) -> None:
    made = client.create_source(text="ip,seen\n192.0.2.1,03/04/2026\n192.0.2.2,05/05/2026\n", name="dates")
    choices = [[{"step": "parse_date", "options": {"formats": [form]}}] for form in ("%d/%m/%Y", "%m/%d/%Y")]
    told = client.readings(made.source.id, "indicator", "valid_from", "seen", choices)
    assert told.differ == 1
    assert [(r.value, r.read) for r in told.values] == [
        ("03/04/2026", ["2026-04-03T00:00:00+00:00", "2026-03-04T00:00:00+00:00"]),
        ("05/05/2026", ["2026-05-05T00:00:00+00:00"] * 2),
    ]
    assert told.unread == [0, 0]


def test_the_values_of_a_map_come_with_counts_unknown_ones_first_and_near_duplicates(
    client: Client, source: str
) -> None:
    given = mapping()
    given["fields"][1]["steps"] = [{"step": "map", "options": {"values": {"AsyncRAT": "async-rat"}}}]
    told = client.values(source, [given], "threat", step=0)
    assert [(v.value, v.rows, v.becomes, v.known) for v in told.values] == [
        ("Cobalt Strike", 1, "Cobalt Strike", False),
        ("cobalt strike", 1, "cobalt strike", False),
        ("AsyncRAT", 1, "async-rat", True),
        ("asyncrat", 1, "async-rat", True),
    ]
    assert (told.distinct, told.unknown, told.empty, told.extent) == (4, 2, 0, "all 4 rows")
    assert [(c.best, len(c.values)) for c in told.clusters] == [("Cobalt Strike", 2)]


def test_values_of_all_rows_are_counted_where_asked_for(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    path.write_text("ip,n\n" + "".join(f"203.0.113.{i % 7},{i}\n" for i in range(30_000)))
    made = client.create_source(payload=client.upload(path).payload)
    given = [{"target": "indicator", "fields": [{"field": "value", "from": "ip"}]}]
    told = client.values(made.source.id, given, "value", whole=True)
    assert (told.distinct, told.rows, told.extent) == (7, 30_000, "all 30,000 rows")
