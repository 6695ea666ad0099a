"""Exploring: records by filter, facet and time, and one record with its past."""

from __future__ import annotations

import pytest

from storage import explorer, facets
from storage.filters import BadFilter, Filter
from tests.storage.conftest import ADVISORY, HOST, Loader, lines, straight


@pytest.fixture
def filled(load: Loader) -> Loader:
    load(straight(HOST), [lines('{"name": "a", "port": "1"}', '{"name": "b", "port": "2"}')])
    load(straight(HOST), [lines('{"name": "a", "port": "9"}', '{"name": "c", "port": "x"}')])
    return load


def test_browsing_searches_filters_and_pages(filled: Loader) -> None:
    cursor = filled.store.cursor()
    page = explorer.browse(cursor, HOST, order="name", limit=1)
    assert (page.total, [r["name"] for r in page.rows]) == (2, ["a"])
    assert [r["name"] for r in explorer.browse(cursor, HOST, Filter(search="B")).rows] == ["b"]
    assert explorer.browse(cursor, HOST, Filter(where=(("port", "9"),))).rows[0]["name"] == "a"
    assert explorer.browse(cursor, ADVISORY).total == 0


def test_one_record_shows_its_versions_newest_first(filled: Loader) -> None:
    cursor = filled.store.cursor()
    id = explorer.browse(cursor, HOST, Filter(where=(("name", "a"),))).rows[0]["_id"]
    versions = explorer.versions_of(cursor, HOST, id)
    assert [(v["port"], v["_latest"], v["_line"]) for v in versions] == [(9, True, 1), (1, False, 1)]


def test_values_of_one_field_are_alternatives_and_fields_must_all_hold(filled: Loader) -> None:
    cursor = filled.store.cursor()
    either = Filter(where=(("name", "a"), ("name", "b")))
    assert explorer.browse(cursor, HOST, either).total == 2
    assert (
        explorer.browse(cursor, HOST, Filter(where=(*either.where, ("port", "3..10")))).rows[0]["name"] == "a"
    )
    assert explorer.browse(cursor, HOST, Filter(where=(("port", ""),))).total == 0
    assert explorer.browse(cursor, HOST, Filter(search="A", whole=True)).total == 1
    with pytest.raises(BadFilter):
        explorer.browse(cursor, HOST, Filter(where=(("port", "low..high"),)))


def test_facets_count_the_latest_records_and_follow_the_filter(load: Loader) -> None:
    rows = [f'{{"name": "h{n}", "port": "{80 if n % 3 else 443}"}}' for n in range(30)]
    load(straight(HOST), [lines(*rows)])
    load(straight(HOST), [lines('{"name": "h0", "port": "80"}')])
    cursor = load.store.cursor()

    found = facets.overview(cursor, HOST, Filter())
    port = next(f for f in found.facets if f.field == "port")
    assert (found.total, [(v.value, v.count) for v in port.values]) == (30, [("80", 21), ("443", 9)])

    chosen = facets.overview(cursor, HOST, Filter(where=(("port", "443"),)))
    assert chosen.total == 9
    # What could be added is still counted.
    assert [v.count for v in next(f for f in chosen.facets if f.field == "port").values] == [21, 9]
    searched = facets.overview(cursor, HOST, Filter(search="h2"))
    assert (searched.total, sum(v.count for v in searched.facets[0].values)) == (11, 11)


def test_of_very_many_records_the_counts_are_estimated_and_said_to_be(
    load: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [f'{{"name": "h{n}", "port": "{80 if n % 4 else 443}"}}' for n in range(60_000)]
    load(straight(HOST), [lines(*rows)])
    monkeypatch.setattr(facets, "SAMPLED", 30_000)

    found = facets.overview(load.store.cursor(), HOST, Filter())

    assert found.total == 60_000
    assert found.sample is not None
    assert 2_000 < found.sample < 50_000
    web, tls = next(f for f in found.facets if f.field == "port").values
    assert 2.5 < web.count / tls.count < 3.5
