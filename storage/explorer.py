"""Exploring: records browsed, one record with its past, and a person's own SQL, all of it read-only."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa
import sqlglot
from duckdb import DuckDBPyConnection
from sqlglot import exp

from engine.errors import Stop
from engine.model import TargetModel
from engine.scan import identifier
from storage import records
from storage.definitions import NotFound
from storage.store import Store

BOOKS = ("runs", "batches", "findings", "rejects", "segments")


class QueryRefused(Stop):
    """This query can't be run here."""


class QueryTookTooLong(Stop):
    """The query was stopped because it took too long."""


@dataclass(frozen=True)
class Table:
    """A result: column names and types, rows, and whether there are more than were asked for."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    more: bool


def query(store: Store, sql: str, *, limit: int = 1000, seconds: float = 30.0) -> Table:
    """Run one SELECT over the tenant's records and books.

    QueryRefused for anything but one SELECT over `records` (by target model, with or without the schema)
    and the books; QueryTookTooLong after `seconds`. At most `limit` rows come back.
    """
    with store.cursor() as cursor:
        text = checked(cursor, sql)
        with _stopped_after(cursor, seconds):
            result = cursor.execute(f"SELECT * FROM ({text}) LIMIT {int(limit) + 1}")
            rows = result.fetchall()
            names = tuple(d[0] for d in result.description or ())
            types = tuple(str(d[1]) for d in result.description or ())
    return Table(names, types, rows[:limit], len(rows) > limit)


def checked(cursor: DuckDBPyConnection, sql: str) -> str:
    """The statement with every table spelled out, or QueryRefused with what is wrong.

    The database itself is locked down; this keeps a query to the tables that are meant to be read.
    """
    try:
        statements = [s for s in sqlglot.parse(sql, read="duckdb") if s is not None]
    except (sqlglot.errors.SqlglotError, RecursionError) as error:
        raise QueryRefused(f"It does not parse: {str(error).splitlines()[0]}") from None
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise QueryRefused("Only a single SELECT is run here.")
    tree = statements[0]
    if next(tree.find_all(exp.Into, exp.DML, exp.DDL, exp.Command), None) is not None and any(
        not isinstance(node, exp.Query) for node in tree.find_all(exp.Into, exp.DML, exp.DDL, exp.Command)
    ):
        raise QueryRefused("Only reading is possible here.")
    defined = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    known = {name.lower(): name for name in records.kept_targets(cursor)}
    for table in list(tree.find_all(exp.Table)):
        _qualify(table, defined, known)
    return tree.sql(dialect="duckdb")


def _qualify(table: exp.Table, defined: set[str], known: dict[str, str]) -> None:
    if not isinstance(table.this, exp.Identifier):
        name = table.this.sql(dialect="duckdb").split("(")[0].lower()
        if name in {"range", "generate_series", "unnest"}:
            return
        raise QueryRefused(f"{name}(…) can't be read from; records and books can.")
    name, schema, catalog = table.name.lower(), table.db.lower(), table.catalog.lower()
    if not schema and not catalog and name in defined:
        return
    if catalog not in ("", "store") or schema not in ("", "records", "versions", "spire"):
        raise QueryRefused(f"{table.sql(dialect='duckdb')} is not one of your tables.")
    same = known.get(name) or known.get(name.replace("_", "-"))
    if same is not None and schema in ("", "records", "versions"):
        schema = schema or "records"
        name = same
    elif schema in ("", "spire") and name in BOOKS:
        schema = "spire"
    else:
        tables = ", ".join([*known.values(), *BOOKS])
        raise QueryRefused(f"There is no table {table.name} here.", action=f"Tables: {tables}.")
    alias = table.alias or table.name
    table.set("this", exp.to_identifier(name, quoted=True))
    table.set("db", exp.to_identifier(schema, quoted=True))
    table.set("catalog", exp.to_identifier("store", quoted=True))
    table.set("alias", exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))


@contextmanager
def _stopped_after(cursor: DuckDBPyConnection, seconds: float) -> Iterator[None]:
    timer = threading.Timer(seconds, cursor.interrupt)
    timer.start()
    try:
        yield
    except duckdb.InterruptException:
        raise QueryTookTooLong(
            f"The limit is {seconds:g} seconds.", action="Narrow it down with a WHERE or a LIMIT."
        ) from None
    except duckdb.Error as error:
        # DuckDB's first line names the cause; what follows it repeats the statement.
        raise QueryRefused(str(error).splitlines()[0]) from None
    finally:
        timer.cancel()


@dataclass(frozen=True)
class Page:
    """Some of the records that match, and how many do."""

    rows: list[dict[str, Any]]
    total: int


def browse(
    cursor: DuckDBPyConnection,
    target: TargetModel,
    *,
    search: str = "",
    equal: dict[str, str] | None = None,
    run: int | None = None,
    order: str = "",
    descending: bool = False,
    offset: int = 0,
    limit: int = 100,
) -> Page:
    """The latest records of a target model that contain `search` in any field and meet every equality."""
    if not records.exists(cursor, target.name):
        return Page([], 0)
    fields = [f.name for f in target.fields]
    where, values = ["true"], list[Any]()
    if search:
        matches = " OR ".join(f"contains(lower({identifier(f)}::VARCHAR), lower(?))" for f in fields)
        where.append(f"({matches})")
        values += [search] * len(fields)
    for name, value in (equal or {}).items():
        if name not in fields:
            raise NotFound(f"{target.name} has no field {name}.")
        where.append(f"{identifier(name)}::VARCHAR = ?")
        values.append(value)
    if run is not None:
        where.append("_run = ?")
        values.append(run)
    if order and order not in fields:
        raise NotFound(f"{target.name} has no field {order}.")
    # Without a wish the newest come first, which the store keeps at its end.
    by = f"{identifier(order) if order else '_seq'} {'DESC' if descending or not order else 'ASC'} NULLS LAST"
    table = f"store.records.{identifier(target.name)}"
    condition = " AND ".join(where)
    total = cursor.execute(f"SELECT count(*) FROM {table} WHERE {condition}", values).fetchall()[0][0]
    result = cursor.execute(
        f"SELECT printf('%016x', _kh) AS _id, * EXCLUDE (_kh, _vh) FROM {table} WHERE {condition} "
        f"ORDER BY {by} LIMIT {int(limit)} OFFSET {int(offset)}",
        values,
    )
    return Page(_dicts(result), int(total))


def versions_of(cursor: DuckDBPyConnection, target: TargetModel, id: str) -> list[dict[str, Any]]:
    """Every version of the record whose `_id` (hex of its key's hash) is given, newest first."""
    try:
        key = int(id, 16)
    except ValueError:
        raise NotFound(f"{target.name} {id}.") from None
    if not records.exists(cursor, target.name):
        raise NotFound(f"{target.name} {id}.")
    name = identifier(target.name)
    result = cursor.execute(
        f"SELECT printf('%016x', v._kh) AS _id, v.* EXCLUDE (_kh, _vh), s.seq IS NULL AS _latest "
        f"FROM store.versions.{name} v LEFT JOIN store.superseded.{name} s ON s.seq = v._seq "
        "WHERE v._kh = ? ORDER BY _latest DESC, v._seq DESC",
        [key],
    )
    found = _dicts(result)
    if not found:
        raise NotFound(f"{target.name} {id}.")
    return found


def batches(
    cursor: DuckDBPyConnection, target: TargetModel, *, run: int | None = None, rows: int = 10_000
) -> Iterator[pa.RecordBatch]:
    """The latest records of a target model as Arrow, a bounded piece at a time: what exports are made of."""
    if not records.exists(cursor, target.name):
        return iter(())
    where = "" if run is None else f"WHERE _run = {int(run)}"
    result = cursor.execute(f"SELECT * FROM store.records.{identifier(target.name)} {where} ORDER BY _seq")
    return iter(result.to_arrow_reader(rows))


def _dicts(result: DuckDBPyConnection) -> list[dict[str, Any]]:
    names = [d[0] for d in result.description or ()]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


@contextmanager
def interruptible(cursor: DuckDBPyConnection) -> Iterator[DuckDBPyConnection]:
    """Closes the cursor at the end, whatever is still under way on it."""
    try:
        yield cursor
    finally:
        with suppress(duckdb.Error):
            cursor.close()
