"""The store: encrypted on disk whatever it does, and closed to everything outside its folder."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from storage.store import Store, StoreDoesNotOpen

KEY = bytes(range(32))


def files_holding(folder: Path, marker: bytes) -> list[str]:
    return [str(p) for p in folder.rglob("*") if p.is_file() and marker in p.read_bytes()]


def test_nothing_on_disk_is_in_clear_while_it_spills_nor_after(tmp_path: Path) -> None:
    marker = "PLANTED-MARKER"
    store = Store.open(tmp_path / "tenant", KEY, memory="256MB")
    cursor = store.cursor()
    cursor.execute(
        f"CREATE TABLE stage.big AS SELECT i, '{marker}-' || md5(i::VARCHAR) || md5((i + 1)::VARCHAR) AS t "
        "FROM range(5000000) r(i)"
    )
    spilled = list((tmp_path / "tenant" / "spill").iterdir())
    assert spilled, "the table was meant to spill"
    assert files_holding(tmp_path, marker.encode()) == []
    with store.transaction() as writing:
        writing.execute("CREATE TABLE store.records.kept AS SELECT * FROM stage.big LIMIT 100000")
    assert files_holding(tmp_path, marker.encode()) == []
    store.close()
    assert files_holding(tmp_path, marker.encode()) == []


def test_what_a_killed_process_leaves_behind_is_encrypted_and_its_committed_rows_are_there(
    tmp_path: Path,
) -> None:
    script = textwrap.dedent(
        f"""
        from pathlib import Path
        from storage.store import Store
        store = Store.open(Path({str(tmp_path / "tenant")!r}), bytes(range(32)))
        with store.transaction() as cursor:
            cursor.execute("CREATE TABLE store.records.kept AS SELECT 'PLANTED-MARKER' || i AS t FROM range(1000) r(i)")
        print("committed", flush=True)
        with store.transaction() as cursor:
            cursor.execute("INSERT INTO store.records.kept SELECT 'PLANTED-MARKER' || i FROM range(500000) r(i)")
            print("pending", flush=True)
            input()
        """
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "committed"
    assert process.stdout.readline().strip() == "pending"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert files_holding(tmp_path, b"PLANTED-MARKER") == []
    store = Store.open(tmp_path / "tenant", KEY)
    assert store.cursor().execute("SELECT count(*) FROM store.records.kept").fetchone() == (1000,)
    store.close()


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_csv('/etc/passwd')",
        "ATTACH '/tmp/elsewhere.duckdb'",
        "COPY (SELECT 1) TO '/tmp/elsewhere.csv'",
        "SET enable_external_access = true",
        "SET allowed_directories = ['/']",
        "SET memory_limit = '100GB'",
        "INSTALL httpfs",
        "LOAD spatial",
        "SELECT * FROM read_text('http://127.0.0.1:1/')",
        "SELECT * FROM glob('/etc/*')",
    ],
)
def test_no_statement_reaches_outside_or_changes_the_configuration(store: Store, statement: str) -> None:
    with pytest.raises(duckdb.Error):
        store.cursor().execute(statement).fetchall()


def test_another_tenants_folder_is_out_of_reach(tmp_path: Path, store: Store) -> None:
    other = Store.open(tmp_path / "other", bytes(32))
    other.close()
    path = tmp_path / "other" / "store.duckdb"
    with pytest.raises(duckdb.Error):
        store.cursor().execute(f"ATTACH '{path}' AS theirs (ENCRYPTION_KEY '{'00' * 32}')")
    with pytest.raises(duckdb.Error):
        store.cursor().execute(f"SELECT * FROM read_blob('{path}')")


def test_a_wrong_key_and_a_damaged_file_say_so_and_harm_nothing(
    tmp_path: Path, open_store: Callable[[], Store]
) -> None:
    opened = open_store()
    with opened.transaction() as cursor:
        cursor.execute("CREATE TABLE store.records.kept AS SELECT 1 AS one")
    opened.close()
    path = tmp_path / "tenant" / "store.duckdb"
    before = path.read_bytes()
    with pytest.raises(StoreDoesNotOpen) as refused:
        Store.open(tmp_path / "tenant", bytes(32))
    assert KEY.hex() not in str(refused.value)
    assert bytes(32).hex() not in str(refused.value)
    assert path.read_bytes() == before
    path.write_bytes(b"\0" * 4096 + before[4096:])
    with pytest.raises(StoreDoesNotOpen):
        Store.open(tmp_path / "tenant", KEY)
    path.write_bytes(before)
    again = Store.open(tmp_path / "tenant", KEY)
    assert again.cursor().execute("SELECT * FROM store.records.kept").fetchall() == [(1,)]
    again.close()


def test_a_full_disk_keeps_what_was_committed_and_says_so(tmp_path: Path) -> None:
    script = textwrap.dedent(
        f"""
        import resource, signal
        from pathlib import Path
        from storage.disk import DiskFull
        from storage.store import Store
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        store = Store.open(Path({str(tmp_path / "tenant")!r}), bytes(range(32)))
        with store.transaction() as cursor:
            cursor.execute("CREATE TABLE store.records.kept AS SELECT i FROM range(1000) r(i)")
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        try:
            with store.transaction() as cursor:
                cursor.execute("INSERT INTO store.records.kept SELECT hash(i) % 1000000007 FROM range(3000000) r(i)")
            print("no error")
        except DiskFull as full:
            print("full:", full)
        """
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("full: The disk is full."), done.stdout + done.stderr
    store = Store.open(tmp_path / "tenant", KEY)
    assert store.cursor().execute("SELECT count(*) FROM store.records.kept").fetchone() == (1000,)
    store.close()


def test_a_transaction_that_fails_leaves_nothing(store: Store) -> None:
    with store.transaction() as cursor:
        cursor.execute("CREATE TABLE store.records.kept (one INTEGER)")

    class Halfway(Exception):
        pass

    def fail_halfway() -> None:
        with store.transaction() as cursor:
            cursor.execute("INSERT INTO store.records.kept VALUES (1)")
            raise Halfway

    with pytest.raises(Halfway):
        fail_halfway()
    assert store.cursor().execute("SELECT count(*) FROM store.records.kept").fetchone() == (0,)
