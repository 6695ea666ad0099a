"""Commits: outcomes, books, undo, and what a failed run leaves behind."""

from __future__ import annotations

from datetime import datetime

import pytest

from engine.ledger import BooksDoNotBalance, Ledger
from engine.model import FieldMapping, Mapping
from engine.ports import Fault
from engine.run import TooManyRejects
from storage import quarantine, runs
from storage.books import RuleFailedTheRun
from storage.staging import RowsWentMissing
from tests.storage.conftest import ADVISORY, HOST, Loader, lines, straight

A1 = '{"id": "a", "modified": "2026-01-01T00:00:00Z", "title": "first"}'
A2 = '{"id": "a", "modified": "2026-02-01T00:00:00Z", "title": "second"}'
A2X = '{"id": "a", "modified": "2026-02-01T00:00:00Z", "title": "second, quietly changed"}'
B1 = '{"id": "b", "modified": "2026-01-05T00:00:00Z", "title": "other"}'


def test_a_first_load_inserts_and_a_second_finds_everything_unchanged(load: Loader) -> None:
    first = load(straight(ADVISORY), [lines(A1, B1)])
    second = load(straight(ADVISORY), [lines(A1, B1)])
    assert first == Ledger(read=2, inserted=2)
    assert second == Ledger(read=2, unchanged=2)


def test_the_same_row_twice_in_a_load_is_a_duplicate_in_one_batch_and_across_batches(load: Loader) -> None:
    assert load(straight(ADVISORY), [lines(A1, A1, B1)], batch_rows=10) == Ledger(
        read=3, inserted=2, duplicate=1
    )
    runs.undo(load.store, load.last, load.tick)
    assert load(straight(ADVISORY), [lines(A1), lines(A1), lines(B1)], batch_rows=1) == Ledger(
        read=3, inserted=2, duplicate=1
    )


def test_a_newer_version_updates_and_an_older_one_arriving_late_is_kept_but_not_latest(load: Loader) -> None:
    load(straight(ADVISORY), [lines(A2)])
    assert load(straight(ADVISORY), [lines(A1)]) == Ledger(read=1, updated=1)
    assert load.latest("advisory", "title") == [("second",)]
    versions = load.store.cursor().execute("SELECT count(*) FROM store.versions.advisory").fetchone()
    assert versions == (2,)


def test_two_versions_of_one_record_in_one_batch_are_an_insert_and_an_update(load: Loader) -> None:
    assert load(straight(ADVISORY), [lines(A2, A1)], batch_rows=10) == Ledger(read=2, inserted=1, updated=1)
    assert load.latest("advisory", "title") == [("second",)]


def test_the_same_version_with_other_content_is_kept_and_reported(load: Loader) -> None:
    load(straight(ADVISORY), [lines(A2)])
    assert load(straight(ADVISORY), [lines(A2X)]) == Ledger(read=1, updated=1)
    assert load.books is not None
    assert load.books.conflicting == 1
    assert load.latest("advisory", "title") == [("second, quietly changed",)]


def test_without_a_version_field_the_last_content_to_arrive_is_the_latest(load: Loader) -> None:
    a, b = '{"name": "h", "port": "1"}', '{"name": "h", "port": "2"}'
    load(straight(HOST), [lines(a)])
    assert load(straight(HOST), [lines(b)]) == Ledger(read=1, updated=1)
    assert load(straight(HOST), [lines(a)]) == Ledger(read=1, updated=1)
    assert load(straight(HOST), [lines(a)]) == Ledger(read=1, unchanged=1)
    assert load(straight(HOST), [lines(b, a)], batch_rows=10) == Ledger(read=2, updated=2)
    assert load.latest("host", "port") == [(1,)]


def test_a_row_that_fails_a_check_lands_in_quarantine_with_its_bytes_line_and_reason(load: Loader) -> None:
    good, bad = '{"name": "h", "port": "80"}', '{"name": "h2", "port": "eighty"}'
    assert load(straight(HOST), [lines(good, bad, first_line=7)]) == Ledger(read=2, inserted=1, rejected=1)
    (reject,) = quarantine.select(load.store.cursor())
    assert (reject.raw, reject.line, reject.field, reject.state) == (bad.encode(), 8, "port", "open")
    assert "port" in reject.reason
    assert reject.mapping
    assert reject.run == load.last


def test_what_cannot_be_read_is_counted_and_kept_too(load: Loader) -> None:
    fault = Fault(2, b'{"name": "h', "the object is not closed")
    ledger = load(straight(HOST), [lines('{"name": "h"}', faults=[fault])])
    assert ledger == Ledger(read=2, inserted=1, rejected=1)
    (reject,) = quarantine.select(load.store.cursor())
    assert (reject.form, reject.raw, reject.line) == ("unreadable", fault.raw, 2)


def test_a_row_meeting_no_mapping_is_filtered_and_the_others_take_the_first_they_meet(load: Loader) -> None:
    host = straight(HOST, where="kind = 'host'")
    advisory = straight(ADVISORY, where="kind = 'advisory'")
    ledger = load(
        [host, advisory],
        [lines('{"kind": "host", "name": "h"}', '{"kind": "advisory", "id": "a"}', '{"kind": "x"}')],
    )
    assert ledger == Ledger(read=3, inserted=2, filtered=1)
    assert load.latest("host", "name, _line") == [("h", 1)]
    assert load.latest("advisory", "id, _line") == [("a", 2)]


def test_a_row_that_fans_out_counts_once_and_one_bad_part_rejects_the_row(load: Loader) -> None:
    mapping = Mapping(
        target="host",
        explode="parts",
        fields=[
            FieldMapping.model_validate({"field": "name", "from": "parts"}),
            FieldMapping.model_validate({"field": "port", "from": "port"}),
        ],
    )
    ledger = load(
        mapping,
        [
            lines(
                '{"parts": ["a", "b"], "port": "1"}',
                '{"parts": ["c", null], "port": "2"}',
                '{"parts": ["a"]}',
            )
        ],
        batch_rows=10,
    )
    assert ledger == Ledger(read=3, inserted=1, updated=1, rejected=1)
    assert load.latest("host", "name") == [("a",), ("b",)]
    (reject,) = quarantine.select(load.store.cursor())
    assert reject.line == 2


def test_undoing_a_load_brings_back_what_it_replaced(load: Loader) -> None:
    load(straight(ADVISORY), [lines(A1, B1)])
    load(straight(ADVISORY), [lines(A2)])
    assert runs.undo(load.store, load.last, load.tick) == 1
    assert load.latest("advisory", "title") == [("first",), ("other",)]
    assert load(straight(ADVISORY), [lines(A2)]) == Ledger(read=1, updated=1)


def test_undoing_a_load_in_the_middle_leaves_the_later_one_latest(load: Loader) -> None:
    load(straight(HOST), [lines('{"name": "h", "port": "1"}')])
    load(straight(HOST), [lines('{"name": "h", "port": "2"}')])
    middle = load.last
    load(straight(HOST), [lines('{"name": "h", "port": "3"}')])
    runs.undo(load.store, middle, load.tick)
    assert load.latest("host", "port") == [(3,)]


def test_a_dry_run_counts_what_a_run_would_and_keeps_nothing(load: Loader) -> None:
    load(straight(ADVISORY), [lines(A1)])
    chunks = [lines(A1, A2), lines(A2, B1), lines('{"title": "no id"}')]
    promised = load(straight(ADVISORY), chunks, dry=True)
    assert load.books is not None
    assert [e["id"] for e in load.books.examples["inserted"]] == ["b"]
    assert load.latest("advisory", "title") == [("first",)]
    assert quarantine.select(load.store.cursor()) == []
    assert load(straight(ADVISORY), chunks) == promised


def test_a_rule_that_fails_the_run_keeps_nothing_of_its_batch(load: Loader) -> None:
    rule = {"id": "ports", "operator": "range", "field": "port", "value": {"max": 100}, "severity": "fail"}
    mapping = straight(HOST, rules=[rule])
    with pytest.raises(RuleFailedTheRun, match="port"):
        load(mapping, [lines('{"name": "a", "port": "1"}', '{"name": "b", "port": "101"}')])
    assert not load.store.cursor().execute("SELECT * FROM store.spire.batches").fetchall()


def test_a_warning_keeps_the_row_and_is_counted(load: Loader) -> None:
    rule = {"id": "ports", "operator": "range", "field": "port", "value": {"max": 100}, "severity": "warn"}
    ledger = load(straight(HOST, rules=[rule]), [lines('{"name": "b", "port": "101"}')])
    assert ledger == Ledger(read=1, inserted=1)
    (finding,) = runs.findings(load.store.cursor(), load.last)
    assert (finding["rule"], finding["rows"]) == ("ports", 1)


def test_a_unique_rule_names_the_later_row_in_the_load_and_against_the_store(load: Loader) -> None:
    rule = {"id": "one-port", "operator": "unique", "field": "port"}
    mapping = straight(HOST, rules=[rule])
    first = load(mapping, [lines('{"name": "a", "port": "1"}', '{"name": "b", "port": "1"}')], batch_rows=10)
    assert first == Ledger(read=2, inserted=1, rejected=1)
    assert load(mapping, [lines('{"name": "c", "port": "1"}')]) == Ledger(read=1, rejected=1)
    assert load(mapping, [lines('{"name": "a", "port": "1"}')]) == Ledger(read=1, unchanged=1)


def test_too_many_rejects_stop_the_run(load: Loader) -> None:
    bad = [f'{{"port": "{i}"}}' for i in range(150)]
    with pytest.raises(TooManyRejects):
        load(straight(HOST), [lines(*bad)], error_threshold=0.5)


def test_a_reader_that_counts_more_rows_than_come_back_fails_the_run(load: Loader) -> None:
    chunk = lines('{"name": "a"}')
    lying = type(chunk)(**{**chunk.__dict__, "rows": 2})
    with pytest.raises(RowsWentMissing):
        load(straight(HOST), [lying])
    assert not load.store.cursor().execute("SELECT * FROM store.spire.batches").fetchall()


def test_books_that_do_not_balance_are_refused() -> None:
    with pytest.raises(BooksDoNotBalance, match="1"):
        Ledger(read=2, inserted=1).checked()


def test_a_run_knows_how_far_it_came_for_going_on_later(load: Loader) -> None:
    load(straight(HOST), [lines('{"name": "a"}', '{"name": "b"}'), lines('{"name": "c"}', '{"name": "d"}')])
    resume = runs.resume(load.store.cursor(), load.last)
    assert (resume.chunks, resume.batches, resume.position) == ({0: 2}, 2, 4)
    got = runs.get(load.store.cursor(), load.last)
    assert got.ledger == Ledger(read=4, inserted=4)
    assert isinstance(got.started, datetime)


def test_a_bad_row_that_comes_with_every_load_stands_in_quarantine_once(load: Loader) -> None:
    chunk = lines('{"name": "h", "port": "eighty"}', '{"name": "i", "port": "ninety"}')
    load(straight(HOST), [chunk])
    first, second = quarantine.select(load.store.cursor())
    with load.store.transaction() as cursor:
        quarantine.close(cursor, [first.id], "dismissed")
        quarantine.fix(cursor, {second.id: b'{"name": "i", "port": "90"}'})
    load(straight(HOST), [chunk])
    with load.store.transaction() as cursor:
        quarantine.fold(cursor, "p", load.last)
    (still,) = quarantine.select(load.store.cursor())
    assert (still.run, still.raw) == (load.last, second.raw)
    assert still.fixed == b'{"name": "i", "port": "90"}'
    runs.undo(load.store, load.last, load.tick)
    assert [r.id for r in quarantine.select(load.store.cursor())] == [second.id]
