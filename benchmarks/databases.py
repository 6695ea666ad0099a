"""Reading databases: the whole encrypted load against the driver's own bare read into Arrow, in turns, in one run.

Bare is what the driver gives a program that wants an Arrow table and nothing else: no mapping, no check, no seal,
no store. Ours seals, reads, maps, checks, finds duplicates and commits into the encrypted store. Real servers are
started for it; PostgreSQL and MariaDB speak TLS, with the certificate verified on both sides of the comparison.
"""

from __future__ import annotations

import argparse
import gc
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pyarrow as pa
import pymongo
import pymysql
import trustme
from pymysql.cursors import SSCursor

from app.client import Client
from app.grant import Grant
from app.tenant.api import app_on
from app.tenant.open import open_desk
from app.worker import GARBAGE
from storage.keyring import derive
from tests.servers import mariadb, mongo, postgres
from tests.servers.process import Running, stop

KEY = bytes(range(32))
BATCH = 10_000
COLUMNS = {
    "id": "varchar(60)", "value": "varchar(60)", "value_type": "varchar(20)", "confidence": "int", "first_seen": "timestamp",
    "last_seen": "timestamp", "tlp": "varchar(20)", "labels": "varchar(60)", "description": "varchar(200)",
    "source": "varchar(40)", "score": "numeric(12,3)", "modified": "timestamp",
}  # fmt: skip
BEGAN = datetime(2026, 1, 1)


@dataclass(frozen=True)
class Database:
    """A filled server: how ours is told to reach it, and its driver's own read."""

    kind: str
    config: dict[str, Any]
    bare: Callable[[], pa.Table]


def rows(count: int) -> Iterator[tuple[Any, ...]]:
    """Indicators, the same ones every time."""
    for n in range(count):
        at = BEGAN + timedelta(seconds=n % 5_000_000)
        yield (
            f"indicator--{n:08x}-0000-4000-8000-{n * 7919 % (1 << 48):012x}", f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}",
            "ipv4", n % 101, at, at + timedelta(hours=1), "TLP:GREEN", "malicious-activity",
            f"Seen {n} times at a sensor of the exchange; the usual campaign, the usual port.", "exchange", n % 1000 / 8, at,
        )  # fmt: skip


def filled_postgres(
    folder: Path, count: int, tls: tuple[Path, Path], authority: str
) -> tuple[Running, Database]:
    running = postgres.start(folder, tls)
    parts = urlsplit(running.url)
    root = folder / "ca.pem"
    root.write_text(authority)
    dsn = f"{running.url.replace('+psycopg', '')}?sslmode=verify-full&sslrootcert={root}"
    with psycopg.connect(dsn, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(
            f"CREATE TABLE feed ({', '.join(f'{n} {t}' for n, t in COLUMNS.items())}, PRIMARY KEY (id))"
        )
        with cursor.copy("COPY feed FROM STDIN") as copy:
            for row in rows(count):
                copy.write_row(row)
        cursor.execute("ANALYZE feed")

    def bare() -> pa.Table:
        with psycopg.connect(dsn) as connection, connection.cursor("bare") as cursor:
            cursor.itersize = BATCH
            cursor.execute("SELECT * FROM feed")
            return _table(lambda: cursor.fetchmany(BATCH))

    config = {
        "host": parts.hostname, "port": parts.port, "database": "postgres", "username": parts.username,
        "password": parts.password, "tls": "verify-full", "authority": authority, "table": "feed",
    }  # fmt: skip
    return running, Database("postgres", config, bare)


def filled_mariadb(
    folder: Path, count: int, tls: tuple[Path, Path], authority: str
) -> tuple[Running, Database]:
    running = mariadb.start(folder, tls)
    parts = urlsplit(running.url)
    root = folder / "ca.pem"
    root.write_text(authority)

    def connected() -> Any:
        return pymysql.connect(
            host=str(parts.hostname), port=parts.port or 0, user=parts.username, password=parts.password or "",
            database=parts.path[1:], ssl={"ca": str(root)}, cursorclass=SSCursor,
        )  # fmt: skip

    with connected() as connection, connection.cursor() as cursor:
        listed = ", ".join(f"{n} {t.replace('timestamp', 'datetime(6)')}" for n, t in COLUMNS.items())
        cursor.execute(f"CREATE TABLE feed ({listed}, PRIMARY KEY (id))")
        part: list[tuple[Any, ...]] = []
        for row in rows(count):
            part.append(row)
            if len(part) == BATCH:
                cursor.executemany(f"INSERT INTO feed VALUES ({', '.join(['%s'] * len(COLUMNS))})", part)
                part.clear()
        if part:
            cursor.executemany(f"INSERT INTO feed VALUES ({', '.join(['%s'] * len(COLUMNS))})", part)
        connection.commit()

    def bare() -> pa.Table:
        with connected() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT * FROM feed")
            return _table(lambda: cursor.fetchmany(BATCH))

    config = {
        "host": parts.hostname, "port": parts.port, "database": parts.path[1:], "username": parts.username,
        "password": parts.password, "tls": "verify-full", "authority": authority, "table": "feed",
    }  # fmt: skip
    return running, Database("mysql", config, bare)


def filled_mongo(folder: Path, count: int) -> tuple[Running, Database]:
    running = mongo.start(folder)
    parts = urlsplit(running.url)
    client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(running.url)
    collection = client["bench"]["feed"]
    part: list[dict[str, Any]] = []
    for row in rows(count):
        part.append(dict(zip(COLUMNS, row, strict=True)))
        if len(part) == BATCH:
            collection.insert_many(part)
            part = []
    if part:
        collection.insert_many(part)

    def bare() -> pa.Table:
        found, batch = list[pa.RecordBatch](), list[dict[str, Any]]()
        for document in collection.find({}, {"_id": 0}, batch_size=BATCH):
            batch.append(document)
            if len(batch) == BATCH:
                found.append(pa.RecordBatch.from_pylist(batch))
                batch = []
        return pa.Table.from_batches([*found, *([pa.RecordBatch.from_pylist(batch)] if batch else [])])

    config = {
        "host": parts.hostname, "port": parts.port, "database": "bench", "collection": "feed", "username": parts.username,
        "password": parts.password, "tls": "disable",
    }  # fmt: skip
    return running, Database("mongo", config, bare)


def _table(fetch: Callable[[], Any]) -> pa.Table:
    """Rows as the driver gives them, a batch at a time, as columns."""
    found = list[pa.RecordBatch]()
    while part := fetch():
        columns = [pa.array(column) for column in zip(*part, strict=True)]
        found.append(pa.RecordBatch.from_arrays(columns, names=list(COLUMNS)))
    wide = [f.with_type(pa.decimal128(12, 3)) if pa.types.is_decimal(f.type) else f for f in found[0].schema]
    return pa.Table.from_batches([batch.cast(pa.schema(wide)) for batch in found])


@dataclass(frozen=True)
class Took:
    """Seconds on the clock, and of this process's work: the latter hardly cares who else is on the machine."""

    wall: float
    cpu: float


class Clock:
    """Measures until it is read."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self) -> Took:
        return Took(time.perf_counter() - self._wall, time.process_time() - self._cpu)


@contextmanager
def as_a_worker() -> Iterator[None]:
    """Looking for garbage as seldom as a worker does; the bare read is as Python comes."""
    before = gc.get_threshold()
    gc.set_threshold(*GARBAGE)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def loaded(database: Database, folder: Path, count: int) -> Took:
    """What a run took from its start to its end, in a new tenant; the source and its mapping are there already."""
    grant = Grant(
        tenant="bench",
        key=KEY,
        check=derive(KEY, "bench").check,
        folder=folder / "tenants" / "bench",
        socket=folder / "socket",
        url_allow=("127.0.0.1",),
    )
    desk = open_desk(grant)
    try:
        with Client.on_app(app_on(desk), user="bench") as client:
            made = client.create_source(connector=database.kind, config=database.config, name="feed")
            [suggested, *_] = client.suggest(made.source.id, "indicator").suggestions
            saved = client.create_pipeline(name="feed", source=made.source.id, mappings=[suggested.mapping])
            with as_a_worker():
                clock = Clock()
                ended = client.wait_run(client.start_run(saved.pipeline.id).run)
                took = clock.read()
            kept = client.records("indicator").total
    finally:
        desk.store.close()
    # A load that is fast because it lost something does not count.
    assert (ended.state, ended.ledger.read, kept) == ("finished", count, count), (
        ended.error,
        ended.ledger,
        kept,
    )
    return took


def measure(count: int, rounds: int) -> dict[str, dict[str, float]]:
    """Rows a second, bare and ours, medians of interleaved rounds."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    with tempfile.TemporaryDirectory(prefix="spire-bench-") as held, ExitStack() as stack:
        place = Path(held)
        place.chmod(0o755)  # the servers run as another account
        certificate, key = place / "server.pem", place / "key.pem"
        issued.cert_chain_pems[0].write_to_path(certificate)
        issued.private_key_pem.write_to_path(key)
        trusted = authority.cert_pem.bytes().decode()
        starts: list[Callable[[Path], tuple[Running, Database]]] = [
            lambda folder: filled_postgres(folder, count, (certificate, key), trusted),
            lambda folder: filled_mariadb(folder, count, (certificate, key), trusted),
            lambda folder: filled_mongo(folder, count),
        ]
        found: dict[str, dict[str, float]] = {}
        for number, start in enumerate(starts):
            folder = place / str(number)
            folder.mkdir(mode=0o755)
            running, database = start(folder)
            stack.callback(stop, running)
            bare, ours = list[Took](), list[Took]()
            for turn in range(rounds):
                clock = Clock()
                assert database.bare().num_rows == count
                bare.append(clock.read())
                ours.append(loaded(database, folder / f"tenant-{turn}", count))
            found[database.kind] = {
                "bare": count / median(one.wall for one in bare),
                "ours": count / median(one.wall for one in ours),
                "bare_cpu": median(one.cpu for one in bare) * 1e6 / count,
                "ours_cpu": median(one.cpu for one in ours) * 1e6 / count,
            }
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    found = measure(options.rows, options.rounds)
    print(f"{options.rows:,} rows of {len(COLUMNS)} columns, medians of {options.rounds} rounds.\n")
    print(
        "| database | bare, rows/s | whole load, rows/s | ratio | bare, CPU s per million | whole load, CPU s per million |\n"
        "|---|---:|---:|---:|---:|---:|"
    )
    for kind, one in found.items():
        print(
            f"| {kind} | {one['bare']:,.0f} | {one['ours']:,.0f} | {one['ours'] / one['bare']:.2f} "
            f"| {one['bare_cpu']:.1f} | {one['ours_cpu']:.1f} |"
        )


if __name__ == "__main__":
    main()
