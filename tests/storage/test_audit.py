"""Audit chains: every way to change the past shows, and no secret is written down."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import astuple, replace
from datetime import UTC, datetime, timedelta, timezone

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import Bug
from storage import audit
from storage.audit import ActionKind, Event, Head, Level, Row, head_after, link, verify, written
from storage.masking import masked

KEY = b"a" * 32
AT = datetime(2026, 5, 17, 12, tzinfo=UTC)


def chain(count: int = 6, key: bytes = KEY) -> list[Row]:
    rows: list[Row] = []
    for number in range(count):
        event = Event(ActionKind.CHANGE, "ada", "mapping.change", f"m{number}", after={"n": number})
        rows.append(
            link(key, head_after(rows[-1]) if rows else Head(), "acme", event, AT + timedelta(number))
        )
    return rows


def test_an_untouched_chain_holds_and_gives_its_head() -> None:
    rows = chain()
    assert verify(rows, KEY) == audit.Verdict(True, Head(6, rows[-1].hash))
    assert verify([], KEY) == audit.Verdict(True, Head())
    assert verify(rows, KEY, head_after(rows[-1])).ok


@pytest.mark.parametrize("name", [name for name in audit.COLUMNS if name != "seq"])
def test_a_change_in_any_field_names_the_event_that_was_changed(name: str) -> None:
    rows = chain()
    rows[3] = replace(rows[3], **{name: getattr(rows[3], name) + "x"})
    verdict = verify(rows, KEY)
    assert (verdict.ok, verdict.broken) == (False, 4)
    assert "event 4" in verdict.reason


def test_a_dropped_swapped_or_doubled_event_shows() -> None:
    rows = chain()
    for changed, broken in (
        (rows[:2] + rows[3:], 3),
        ([rows[0], rows[2], rows[1], *rows[3:]], 2),
        ([*rows[:3], rows[2], *rows[3:]], 4),
        (rows[1:], 1),
    ):
        assert verify(changed, KEY).broken == broken


def test_an_event_slipped_in_by_somebody_without_the_key_shows() -> None:
    rows = chain(3)
    forged = link(b"b" * 32, head_after(rows[-1]), "acme", Event(ActionKind.CHANGE, "eve", "x"), AT)
    assert verify([*rows, forged], KEY).broken == 4


def test_text_moved_from_one_field_to_the_next_is_a_change() -> None:
    rows = chain(1)
    rows[0] = replace(rows[0], who="adamapping", action=".change")
    assert verify(rows, KEY).broken == 1


def test_a_cut_tail_shows_against_the_head_kept_elsewhere() -> None:
    rows = chain()
    witness = head_after(rows[-1])
    assert verify(rows[:4], KEY).ok
    verdict = verify(rows[:4], KEY, witness)
    assert (verdict.ok, verdict.broken) == (False, 5)
    assert "cut off" in verdict.reason
    assert not verify([], KEY, witness).ok


def test_a_chain_written_anew_with_the_key_shows_against_the_head_kept_elsewhere() -> None:
    rows = chain()
    anew = [link(KEY, Head(), "acme", Event(ActionKind.CHANGE, "eve", "x"), AT)]
    while len(anew) < 8:
        anew.append(link(KEY, head_after(anew[-1]), "acme", Event(ActionKind.CHANGE, "eve", "x"), AT))
    assert verify(anew, KEY).ok
    assert verify(anew, KEY, head_after(rows[-1])).broken == 6


def test_a_chain_may_be_ahead_of_its_witness_since_a_crash_may_come_between() -> None:
    rows = chain()
    assert verify(rows, KEY, head_after(rows[3])).ok


def test_times_are_written_in_utc_and_a_time_without_zone_is_refused() -> None:
    event = Event(ActionKind.RUN, "ada", "run.start")
    east = datetime(2026, 5, 17, 14, tzinfo=timezone(timedelta(hours=2)))
    assert link(KEY, Head(), "acme", event, east).at == "2026-05-17T12:00:00.000000Z"
    with pytest.raises(Bug):
        link(KEY, Head(), "acme", event, datetime(2026, 5, 17))


def test_levels_write_more_and_more_and_a_refusal_always() -> None:
    kinds = {level: {kind for kind in ActionKind if written(level, kind)} for level in Level}
    assert kinds[Level.MINIMAL] < kinds[Level.STANDARD] < kinds[Level.COMPREHENSIVE] == set(ActionKind)
    assert {ActionKind.SECURITY, ActionKind.CHANGE, ActionKind.EXPORT} <= kinds[Level.MINIMAL]
    assert not written(Level.STANDARD, ActionKind.READ)
    assert written("minimal", "read", "refused")


def test_secrets_are_masked_wherever_they_stand() -> None:
    after = {
        "password": "S3CRET",
        "api_key": "S3CRET",
        "key": "S3CRET",
        "headers": {"Authorization": "Bearer S3CRETTOKEN", "Accept": "Bearer S3CRETTOKEN"},
        "nested": [{"client_secret": "S3CRET", "tokens": ["S3CRET"], "pin_token": 5}],
        "url": "https://user:S3CRET@example.org/feed?apikey=S3CRET&page=2",
        "raw": b"S3CRET",
    }
    row = link(KEY, Head(), "acme", Event(ActionKind.CHANGE, "a", "x", "ftp://u:S3CRET@h/", after=after), AT)
    assert "S3CRET" not in "".join(str(value) for value in astuple(row))
    assert "example.org/feed" in row.after
    assert "page=2" in row.after


def test_what_is_no_secret_is_kept_as_it_is() -> None:
    definition = {
        "key": ["id", "value"],
        "sensitive": True,
        "size": 3,
        "name": "monkey business",
        "sql": None,
    }
    assert masked(definition) == definition


@settings(deadline=None, max_examples=50)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda s: st.lists(s) | st.dictionaries(st.text(), s)))  # fmt: skip
def test_any_definition_can_be_written_and_verified(value: object) -> None:
    connection = duckdb.connect()
    connection.execute(audit.ddl("audit"))
    event = Event(ActionKind.CHANGE, "a\ud800\0", "x", before=value, after=value)
    audit.append(connection, "audit", KEY, "acme", [event], AT)
    rows = list(audit.rows(connection, "audit"))
    assert verify(rows, KEY).ok
    assert not rows[0].before or json.loads(rows[0].before) == json.loads(rows[0].after)
    connection.close()


# In DuckDB


@pytest.fixture
def store() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    connection.execute("CREATE SCHEMA vault")
    connection.execute(audit.ddl('vault."audit"'))
    yield connection
    connection.close()


def events(count: int, who: str = "ada") -> list[Event]:
    return [Event(ActionKind.RUN, who, "run.start", str(number)) for number in range(count)]


def test_a_chain_in_a_store_grows_across_transactions_and_verifies(store: duckdb.DuckDBPyConnection) -> None:
    assert audit.head(store, "vault.audit") == Head()
    audit.append(store, "vault.audit", KEY, "acme", events(3000), AT)
    head = audit.append(store, "vault.audit", KEY, "acme", events(2), AT)
    assert head == audit.head(store, "vault.audit")
    assert head.count == 3002
    assert verify(audit.rows(store.cursor(), "vault.audit"), KEY, head).ok
    assert [row.seq for row in audit.rows(store, "vault.audit", after=5, limit=2)] == [6, 7]


def test_an_event_commits_with_its_change_or_not_at_all(store: duckdb.DuckDBPyConnection) -> None:
    audit.append(store, "vault.audit", KEY, "acme", events(1), AT)
    store.begin()
    audit.append(store, "vault.audit", KEY, "acme", events(5), AT)
    store.rollback()
    assert audit.head(store, "vault.audit").count == 1


def test_two_appends_at_once_cannot_both_take_a_number(store: duckdb.DuckDBPyConnection) -> None:
    one, two = store.cursor(), store.cursor()
    one.begin()
    two.begin()
    assert audit.head(two, "vault.audit") == audit.head(one, "vault.audit") == Head()
    audit.append(one, "vault.audit", KEY, "acme", events(1, "one"), AT)

    def second() -> None:
        audit.append(two, "vault.audit", KEY, "acme", events(1, "two"), AT)
        two.commit()

    one.commit()
    with pytest.raises(duckdb.Error):
        second()
    assert verify(audit.rows(store, "vault.audit"), KEY).head.count == 1


@pytest.mark.parametrize(
    ("sql", "broken"),
    [
        ("UPDATE vault.audit SET who = 'eve' WHERE seq = 4", 4),
        ("DELETE FROM vault.audit WHERE seq = 4", 4),
        ("DELETE FROM vault.audit WHERE seq > 7", 8),
        ("DELETE FROM vault.audit", 1),
    ],
)
def test_tampering_in_the_store_names_the_first_broken_link(
    store: duckdb.DuckDBPyConnection, sql: str, broken: int
) -> None:
    head = audit.append(store, "vault.audit", KEY, "acme", events(10), AT)
    store.execute(sql)
    verdict = verify(audit.rows(store, "vault.audit"), KEY, head)
    assert (verdict.ok, verdict.broken) == (False, broken)


def test_a_table_name_that_is_more_than_a_name_is_refused(store: duckdb.DuckDBPyConnection) -> None:
    for name in ("audit; DROP TABLE vault.audit", "a.b.c.d", "", 'a"b'):
        with pytest.raises(Bug):
            audit.ddl(name)
