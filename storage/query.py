"""A person's own SQL: one SELECT over the tenant's records and books, checked, limited in time, stoppable."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
from storage.store import MemoryFull, Store

BOOKS = ("runs", "batches", "findings", "rejects", "segments")
# Counting what is beyond the limit may take so long, and is given up then.
_COUNTING = 3.0
_WORD = re.compile(r'"[^"]*"|\w+|\S')


@dataclass(frozen=True)
class Position:
    """Where in the text something stands, line and column from 1."""

    line: int
    column: int
    length: int


class QueryRefused(Stop):
    """This query can't be run here."""

    def __init__(self, where: str = "", *, action: str = "", position: Position | None = None) -> None:
        super().__init__(where, action=action)
        self.position = position


class QueryTookTooLong(Stop):
    """The query was stopped because it took too long."""


class QueryCancelled(Stop):
    """The query was cancelled."""


@dataclass(frozen=True)
class Table:
    """A result: column names and types, rows, and whether there are more than were asked for.

    `total` is how many there are in all, where that could be counted.
    """

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    more: bool
    total: int | None = None


@dataclass(frozen=True)
class Readable:
    """A table a query may read: its name as one writes it, columns with their types, and its rows if known."""

    name: str
    title: str
    columns: tuple[tuple[str, str], ...]
    rows: int | None = None


# Seconds between two interrupts of a query that is to stop.
_INSISTING = 0.05


class _Running:
    """Queries under way, by the name their asker gave them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cursors: dict[str, DuckDBPyConnection] = {}
        self._stopped: set[str] = set()

    @contextmanager
    def under(self, name: str, cursor: DuckDBPyConnection) -> Iterator[None]:
        if not name:
            yield
            return
        with self._lock:
            self._cursors[name] = cursor
        try:
            yield
        except QueryTookTooLong:
            if name in self._stopped:
                raise QueryCancelled from None
            raise
        finally:
            with self._lock:
                self._cursors.pop(name, None)
                self._stopped.discard(name)

    def stop(self, name: str) -> bool:
        with self._lock:
            cursor = self._cursors.get(name)
            if cursor is None:
                return False
            self._stopped.add(name)
        threading.Thread(target=self._insist, args=(name, cursor), name="cancel", daemon=True).start()
        return True

    def _insist(self, name: str, cursor: DuckDBPyConnection) -> None:
        """Interrupt until the query has ended: before it has quite begun, an interrupt is lost."""
        while True:
            with self._lock:
                if self._cursors.get(name) is not cursor:
                    return
                cursor.interrupt()
            time.sleep(_INSISTING)


_running = _Running()


def cancel(name: str) -> bool:
    """Stop the query under way by that name; whether there was one."""
    return _running.stop(name)


def query(
    store: Store,
    sql: str,
    *,
    limit: int = 1000,
    seconds: float = 30.0,
    models: Mapping[str, TargetModel] | None = None,
    name: str = "",
) -> Table:
    """Run one SELECT over the tenant's records and books.

    QueryRefused for anything but one SELECT over `records` (by target model, with or without the schema)
    and the books; QueryTookTooLong after `seconds`. At most `limit` rows come back. `models` of which nothing
    is kept yet are empty tables. `name` is what `cancel` knows it by.
    """
    with store.cursor() as cursor:
        text = checked(cursor, sql, models)
        with _running.under(name, cursor):
            with _stopped_after(cursor, seconds, sql):
                result = cursor.execute(f"SELECT * FROM ({text}) LIMIT {int(limit) + 1}")
                rows = result.fetchall()
                names = tuple(d[0] for d in result.description or ())
                types = tuple(str(d[1]) for d in result.description or ())
            more = len(rows) > limit
            total = _counted(cursor, text, sql) if more else len(rows)
    return Table(names, types, rows[:limit], more, total)


def _counted(cursor: DuckDBPyConnection, text: str, sql: str) -> int | None:
    try:
        with _stopped_after(cursor, _COUNTING, sql):
            return int(cursor.execute(f"SELECT count(*) FROM ({text})").fetchall()[0][0])
    except (QueryTookTooLong, QueryRefused, MemoryFull):
        return None


def arrow(
    store: Store,
    sql: str,
    *,
    seconds: float = 300.0,
    models: Mapping[str, TargetModel] | None = None,
    rows: int = 10_000,
) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """The whole result of a query, piece by piece; refused before the first piece or not at all."""
    cursor = store.cursor()
    try:
        text = checked(cursor, sql, models)
        with _stopped_after(cursor, seconds, sql):
            reader = cursor.execute(f"SELECT * FROM ({text})").to_arrow_reader(rows)
    except BaseException:
        cursor.close()
        raise

    def pieces() -> Iterator[pa.RecordBatch]:
        try:
            with _stopped_after(cursor, seconds, sql):
                yield from reader
        finally:
            cursor.close()

    return reader.schema, pieces()


def readable(
    cursor: DuckDBPyConnection, models: Mapping[str, TargetModel], rows: Mapping[str, int]
) -> list[Readable]:
    """What a query may read: records of every target model that has any, and the books."""
    found = []
    for name in records.kept_targets(cursor):
        title = models[name].title if name in models else ""
        found.append(Readable(name, title, _columns(cursor, "records", name), rows.get(name)))
    found.sort(key=lambda table: -(table.rows or 0))
    return found + [Readable(name, "", _columns(cursor, "spire", name)) for name in BOOKS]


def _columns(cursor: DuckDBPyConnection, schema: str, name: str) -> tuple[tuple[str, str], ...]:
    described = cursor.execute(f"DESCRIBE store.{identifier(schema)}.{identifier(name)}").fetchall()
    return tuple((row[0], row[1]) for row in described)


def checked(cursor: DuckDBPyConnection, sql: str, models: Mapping[str, TargetModel] | None = None) -> str:
    """The statement with every table spelled out, or QueryRefused with what is wrong.

    The database itself is locked down; this keeps a query to the tables that are meant to be read.
    """
    try:
        statements = [s for s in sqlglot.parse(sql, read="duckdb") if s is not None]
    except sqlglot.errors.ParseError as error:
        raise QueryRefused(*_parse_error(sql, error)[:1], position=_parse_error(sql, error)[1]) from None
    except (sqlglot.errors.SqlglotError, RecursionError) as error:
        told = (
            "a quote or a comment is not closed"
            if isinstance(error, sqlglot.errors.TokenError)
            else "it is nested too deeply"
        )
        raise QueryRefused(f"It does not parse: {told}.") from None
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
        _qualify(table, defined, known, models or {}, sql)
    return tree.sql(dialect="duckdb")


def _parse_error(sql: str, error: sqlglot.errors.ParseError) -> tuple[str, Position | None]:
    first = error.errors[0] if error.errors else {}
    found = str(first.get("highlight") or "")
    told = f"It does not parse near “{found}”." if found else "It does not parse: it ends too early."
    if not isinstance(first.get("line"), int):
        return told, None
    # sqlglot counts to the end of what it stumbled over.
    return told, Position(int(first["line"]), max(1, int(first["col"]) - len(found) + 1), max(1, len(found)))


def _qualify(
    table: exp.Table, defined: set[str], known: dict[str, str], models: Mapping[str, TargetModel], sql: str
) -> None:
    if not isinstance(table.this, exp.Identifier):
        name = table.this.sql(dialect="duckdb").split("(")[0].lower()
        if name in {"range", "generate_series", "unnest"}:
            return
        raise QueryRefused(
            f"{name}(…) can't be read from; records and books can.", position=_place(sql, name, 0)
        )
    name, schema, catalog = table.name.lower(), table.db.lower(), table.catalog.lower()
    if not schema and not catalog and name in defined:
        return
    if catalog not in ("", "store") or schema not in ("", "records", "versions", "spire"):
        raise QueryRefused(
            f"{table.sql(dialect='duckdb')} is not one of your tables.", position=_place(sql, table.name, 0)
        )
    same = known.get(name) or known.get(name.replace("_", "-"))
    if same is not None and schema in ("", "records", "versions"):
        schema = schema or "records"
        name = same
    elif schema in ("", "spire") and name in BOOKS:
        schema = "spire"
    elif schema in ("", "records", "versions") and (
        model := models.get(name) or models.get(name.replace("_", "-"))
    ):
        table.replace(_nothing(model, table.alias or table.name))
        return
    else:
        tables = ", ".join([*known.values(), *BOOKS])
        raise QueryRefused(
            f"There is no table {table.name} here.",
            action=f"Tables: {tables}.",
            position=_place(sql, table.name, 0),
        )
    alias = table.alias or table.name
    table.set("this", exp.to_identifier(name, quoted=True))
    table.set("db", exp.to_identifier(schema, quoted=True))
    table.set("catalog", exp.to_identifier("store", quoted=True))
    table.set("alias", exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))


def _nothing(model: TargetModel, alias: str) -> exp.Subquery:
    """A model of which nothing is kept yet: its columns and no row."""
    fields = {f.name: records.column_type(f.type) for f in model.fields} | records.ORIGIN
    columns = ", ".join(f"CAST(NULL AS {kind}) AS {identifier(name)}" for name, kind in fields.items())
    select = sqlglot.parse_one(f"SELECT {columns} WHERE false", read="duckdb", into=exp.Select)
    return exp.Subquery(this=select, alias=exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))


@contextmanager
def _stopped_after(cursor: DuckDBPyConnection, seconds: float, sql: str) -> Iterator[None]:
    timer = threading.Timer(seconds, cursor.interrupt)
    timer.start()
    try:
        yield
    except duckdb.InterruptException:
        raise QueryTookTooLong(
            f"The limit is {seconds:g} seconds.", action="Narrow it down with a WHERE or a LIMIT."
        ) from None
    except duckdb.OutOfMemoryException:
        raise MemoryFull from None
    except duckdb.Error as error:
        told, action, position = _told(str(error), sql)
        raise QueryRefused(told, action=action, position=position) from None
    finally:
        timer.cancel()


def _told(error: str, sql: str) -> tuple[str, str, Position | None]:
    """DuckDB's error in three: its first line names the cause, hints follow, an excerpt shows the place.

    The excerpt is of the statement with its tables spelled out; the word under its caret is looked for
    in the text as the person wrote it.
    """
    before, _, excerpt = error.partition("\nLINE ")
    lines = [line for line in before.splitlines() if line.strip()]
    lines[0] = re.sub(r"^\w+(?: \w+)? Error: ", "", lines[0])
    position = None
    shown = excerpt.splitlines()
    if len(shown) >= 2 and "^" in shown[1]:
        at = shown[1].index("^") - len("LINE ")
        found = _WORD.match(shown[0], at) if 0 <= at < len(shown[0]) else None
        if found is not None:
            word = found[0]
            earlier = sum(1 for each in _WORD.findall(shown[0][:at]) if each == word)
            position = _place(sql, word, earlier)
    told = [line[:-1] + "." if line.endswith("!") else line for line in lines]
    return told[0], " ".join(told[1:]), position


def _place(sql: str, word: str, earlier: int) -> Position | None:
    """Where a word stands in the text; with others like it before, the one after so many of them."""
    bare = word.strip('"')
    found = [m for m in _WORD.finditer(sql) if m[0].strip('"').lower() == bare.lower()]
    if not found:
        return None
    at = found[min(earlier, len(found) - 1)].start()
    line = sql.count("\n", 0, at) + 1
    return Position(line, at - (sql.rfind("\n", 0, at) + 1) + 1, len(bare))
