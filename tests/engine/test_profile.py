"""Profile: what it says of columns, on all rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import duckdb
import pytest

from engine import types
from engine.profile import Column, Profile, profile


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    types.register(connection)
    yield connection
    connection.close()


def column_of(database: duckdb.DuckDBPyConnection, values: Sequence[str | None]) -> Column:
    connection = database.cursor()
    connection.execute("CREATE TEMP TABLE t AS SELECT unnest(?::VARCHAR[]) AS c", [list(values)])
    return profile(connection, "t", ["c"], ordinal="rowid").column("c")


def test_nulls_empties_and_placeholders_are_told_apart(database: duckdb.DuckDBPyConnection) -> None:
    column = column_of(database, ["a", None, "", "-", "n/a", "bcd"])
    assert (column.rows, column.nulls, column.empties, column.placeholders, column.filled) == (6, 1, 1, 2, 2)
    assert (column.shortest, column.longest) == (0, 3)


@pytest.mark.parametrize(("values", "distinct"), [(["a", "b", "c"], 3), (["", None], 0), ([str(n % 3137) for n in range(9000)], 3137)])  # fmt: skip
def test_different_values_are_counted_and_not_guessed(
    database: duckdb.DuckDBPyConnection, values: list[str | None], distinct: int
) -> None:
    assert column_of(database, values).distinct == distinct


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["192.0.2.1", "198.51.100[.]7", "203.0.113.9"], "ipv4"),
        (["hxxp://bad.example.com/x", "https://example.org/"], "url"),
        (["0cc175b9c0f1b6a831c399e269772661", "92eb5ffee6ae2fec3ad71c777531578f"], "md5"),
        (["192.0.2.1", "bad.example.com", "0cc175b9c0f1b6a831c399e269772661"], "indicator"),
        (["CVE-2024-0001", "cve-2023-12345"], "cve"),
        (["TLP:AMBER", "tlp:green", "TLP:AMBER+STRICT"], "tlp"),
        (["1", "2.5", "-3"], "number"),
        (["1", "22", "-3"], "integer"),
        (["yes", "no", "yes"], "boolean"),
        (['{"a": 1}', "[1, 2]"], "json"),
        (["2024-05-02", "2024-05-03"], "date"),
        (["2024-05-02T10:00:00Z", "2024-05-03 11:00:00+02:00"], "timestamp"),
        (["1714636800", "1714636801"], "timestamp"),
        (["20240501", "20240502"], "date"),
        (["some words", "more words here"], "text"),
        ([None, "", "-"], "empty"),
    ],
)
def test_a_column_is_what_its_values_are(
    database: duckdb.DuckDBPyConnection, values: list[str | None], kind: str
) -> None:
    assert column_of(database, values).type == kind


def test_outliers_are_counted_on_all_rows_and_shown_with_their_row(
    database: duckdb.DuckDBPyConnection,
) -> None:
    values = [f"192.0.2.{i % 250}" for i in range(30_000)]
    values[17_777] = "not an address"
    column = column_of(database, values)
    assert column.evidence == "99.9 % ipv4, 1 outlier"
    assert [(o.row, o.value) for o in column.outlier_examples] == [(17_777, "not an address")]


def test_dates_that_could_be_either_way_round_are_ambiguous(database: duckdb.DuckDBPyConnection) -> None:
    column = column_of(database, ["03/04/2024", "05/06/2024"])
    assert column.ambiguous_dates
    assert {date.format for date in column.dates} == {"%d/%m/%Y", "%m/%d/%Y"}


def test_one_late_row_decides_the_order_of_day_and_month(database: duckdb.DuckDBPyConnection) -> None:
    column = column_of(database, ["03/04/2024"] * 500 + ["25/06/2024"])
    assert not column.ambiguous_dates
    assert [date.format for date in column.dates] == ["%d/%m/%Y"]


def test_dates_written_in_two_ways_keep_both_formats(database: duckdb.DuckDBPyConnection) -> None:
    column = column_of(database, ["2024-05-02", "02.05.2024", "2024-05-13"])
    assert {date.format for date in column.dates} == {"iso", "%d.%m.%Y"}
    assert not column.ambiguous_dates


def test_leading_zeros_and_mangled_numbers_are_flagged(database: duckdb.DuckDBPyConnection) -> None:
    column = column_of(database, ["00042", "1.9E+18", "77", "0"])
    assert (column.leading_zeros, column.mangled) == (1, 1)


def test_masks_collapse_runs_and_name_hashes_by_one_letter(database: duckdb.DuckDBPyConnection) -> None:
    column = column_of(database, ["AB-12", "XYZ-9", "0cc175b9c0f1b6a8", "zwölf"])
    assert {m.mask: m.count for m in column.masks} == {"A-9": 2, "x": 1, "a": 1}


def test_numbers_come_with_their_spread(database: duckdb.DuckDBPyConnection) -> None:
    numbers = column_of(database, [str(i) for i in range(100)]).numbers
    assert numbers is not None
    assert (numbers.lowest, numbers.highest, sum(numbers.bins)) == (0, 99, 100)
    assert numbers.bins == (5,) * 20


def test_a_select_and_three_hundred_columns_are_fine(database: duckdb.DuckDBPyConnection) -> None:
    columns = ", ".join(f"'192.0.2.{i % 200}' AS \"c {i}\"" for i in range(300))
    found = profile(database.cursor(), f"SELECT {columns} FROM range(3)", [f"c {i}" for i in range(300)])
    assert {column.type for column in found.columns} == {"ipv4"}


def test_a_relation_without_rows_or_columns_has_a_profile(database: duckdb.DuckDBPyConnection) -> None:
    assert profile(database.cursor(), "SELECT 'x' AS c WHERE false", ["c"]).column("c").rows == 0
    assert profile(database.cursor(), "SELECT 1 AS c", []).rows == 1


def test_hostile_names_and_values_do_no_harm(database: duckdb.DuckDBPyConnection) -> None:
    name = "a\"b'; DROP TABLE x --"
    connection = database.cursor()
    connection.execute('CREATE TEMP TABLE h ("a""b\'; DROP TABLE x --" VARCHAR)')
    connection.execute("INSERT INTO h VALUES ('''; --'), ('[{'), ('\\'), (repeat('x', 100000))")
    column = profile(connection, "h", [name]).column(name)
    assert (column.rows, column.longest) == (4, 100_000)


def test_the_same_rows_give_the_same_profile_and_it_survives_json(
    database: duckdb.DuckDBPyConnection,
) -> None:
    rows = "SELECT i::VARCHAR AS a, md5(i::VARCHAR) AS b FROM range(40000) r(i)"
    first = profile(database.cursor(), rows, ["a", "b"])
    assert profile(database.cursor(), rows, ["a", "b"]) == first
    assert Profile.model_validate_json(first.model_dump_json()) == first


MIXED = {
    "address": "'192.0.2.' || (i % 200)",
    "day": "strftime(DATE '2026-01-01' + i::INT, '%d/%m/%Y')",
    "seconds": "(1714636800 + i)::VARCHAR",
    "number": "CASE WHEN i % 50 = 3 THEN 'n/a' ELSE (i * 7 % 90)::VARCHAR END",
    "decimal": "CASE WHEN i % 40 = 1 THEN 'many' ELSE (i / 4)::VARCHAR END",
    "words": "CASE WHEN i % 9 = 0 THEN NULL WHEN i % 9 = 1 THEN '' ELSE 'case ' || (i % 13) END",
    "nothing": "NULL::VARCHAR",
    "hash": "md5(i::VARCHAR)",
}


def test_columns_profiled_together_are_as_each_is_alone(database: duckdb.DuckDBPyConnection) -> None:
    connection = database.cursor()
    columns = ", ".join(f"{how} AS {name}" for name, how in MIXED.items())
    connection.execute(f"CREATE TEMP TABLE mixed AS SELECT {columns} FROM range(3000) r(i)")
    together = profile(connection, "mixed", list(MIXED), ordinal="rowid")
    for name in MIXED:
        assert profile(connection, "mixed", [name], ordinal="rowid").column(name) == together.column(name)


def test_three_hundred_columns_take_no_more_statements_than_eight_of_their_kinds(
    database: duckdb.DuckDBPyConnection,
) -> None:
    class Counting:
        """A connection that counts what it is asked."""

        def __init__(self) -> None:
            self.asked = 0
            self.real = database.cursor()

        def execute(self, sql: str) -> duckdb.DuckDBPyConnection:
            self.asked += 1
            return self.real.execute(sql)

    def statements(times: int) -> int:
        made = {f"{name}_{n}": how for n in range(times) for name, how in MIXED.items()}
        columns = ", ".join(f"{how} AS {name}" for name, how in made.items())
        counting = Counting()
        counting.real.execute(f"CREATE TEMP TABLE many_{times} AS SELECT {columns} FROM range(50) r(i)")
        profile(counting, f"many_{times}", list(made), ordinal="rowid")  # type: ignore[arg-type]
        return counting.asked

    # Only the passes that lay out a hundred columns at a time are made once more for each further hundred.
    assert statements(38) <= statements(1) + 2 * 3 + 2
