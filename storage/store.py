"""A tenant's store: one encrypted DuckDB file, opened, locked down, and committed to one batch at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import resources
from pathlib import Path

import duckdb
import duckdb_extension_httpfs
from duckdb import DuckDBPyConnection

from engine.errors import Stop
from engine.scan import literal
from storage.disk import DiskFull

FORMAT = 2
# DuckDB passes on the system's words; a quota and a size limit stop us just as a full disk does.
_FULL = ("No space left", "File too large", "Disk quota exceeded", "not enough disk space")


class MemoryFull(Stop):
    """The memory set aside for this tenant was not enough. Nothing of this batch was kept."""

    def __init__(self) -> None:
        super().__init__(action="Give workers more (SPIRE_WORKER_MEMORY), or load a smaller piece.")


class StoreDoesNotOpen(Stop):
    """The tenant's store could not be opened."""


class Store:
    """An open store. Cursors share it and may read and stage at once; writes to the file take turns.

    The file is attached as `store`, an in-memory database for staging as `stage`. After opening, no
    statement can reach outside the tenant's folder or change the configuration. `threads` is 1: rows
    keep their order, and parallel work is by cursor, which measured faster than DuckDB's own threads.

    `batches` counts what runs under way have committed since it was opened, `acts` all other changes.
    """

    def __init__(self, connection: DuckDBPyConnection, folder: Path) -> None:
        self._connection = connection
        self._writing = threading.RLock()
        self.acts = self.batches = 0
        self.folder = folder

    @classmethod
    def open(
        cls,
        folder: Path,
        key: bytes,
        *,
        memory: str = "640MB",
        functions: Callable[[DuckDBPyConnection], None] = lambda connection: None,
    ) -> Store:
        """Open or make the store in `folder` under a 256-bit key.

        `functions` registers SQL functions before the configuration is locked. A wrong key should
        be caught by its key-check value before it comes here: DuckDB's own message misleads.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        scratch = folder / "spill"
        scratch.mkdir(mode=0o700, exist_ok=True)
        for left_over in scratch.iterdir():
            left_over.unlink()
        connection = duckdb.connect(
            ":memory:",
            config={
                "threads": 1,
                "memory_limit": memory,
                "preserve_insertion_order": False,
                # What a dropped table held goes back to the system, not only what 512 MB of them held.
                "allocator_bulk_deallocation_flush_threshold": "16MB",
                "temp_directory": str(scratch),
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                # It lifts what two expressions share out of their TRY, and one bad row then ends the query.
                "disabled_optimizers": "common_subexpressions",
            },
        )
        try:
            connection.execute(f"LOAD {literal(str(_crypto_extension()))}")
            # Spilled rows are plaintext unless this is set, and it must be set before ATTACH.
            connection.execute("SET temp_file_encryption = true")
            # A checkpoint inside a commit stalls the run; the store makes its own between batches.
            connection.execute("SET checkpoint_threshold = '256MB'")
            functions(connection)
            _attach(connection, folder / "store.duckdb", key)
            connection.execute("ATTACH ':memory:' AS stage")
            connection.execute(f"SET allowed_directories = ['/proc/self/fd/', {literal(str(folder) + '/')}]")
            connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
            for statement in resources.files("storage").joinpath("schema.sql").read_text().split(";"):
                if statement.strip():
                    connection.execute(statement)
            _check_format(connection)
        except BaseException:
            connection.close()
            raise
        return cls(connection, folder)

    def cursor(self) -> DuckDBPyConnection:
        """A cursor of one's own; one a thread."""
        cursor = self._connection.cursor()
        # DuckDB does not carry USE over to cursors, and plans name stored records as records.T.
        cursor.execute("USE store")
        return cursor

    @contextmanager
    def transaction(self, *, batch: bool = False) -> Iterator[DuckDBPyConnection]:
        """A cursor inside a transaction: committed at the end, rolled back on any error, one at a time.

        With `batch` it is counted as a run's, which has not ended yet, and not as an act.
        """
        with self._writing:
            cursor = self.cursor()
            cursor.execute("BEGIN")
            try:
                yield cursor
                cursor.execute("COMMIT")
                if batch:
                    self.batches += 1
                else:
                    self.acts += 1
            except BaseException as error:
                _roll_back(cursor)
                if isinstance(error, duckdb.OutOfMemoryException):
                    raise MemoryFull from error
                if isinstance(error, duckdb.Error) and is_disk_full(error):
                    raise DiskFull(action="Free some space, then start the run again.") from error
                raise
            finally:
                cursor.close()

    def checkpoint(self) -> None:
        """Fold the write-ahead log into the file, unless something else is being written or the store closed."""
        passing = suppress(duckdb.TransactionException, duckdb.ConnectionException)
        with self._writing, passing, self.cursor() as cursor:
            cursor.execute("CHECKPOINT store")

    def close(self) -> None:
        self._connection.close()


def is_disk_full(error: BaseException) -> bool:
    """Whether an error of DuckDB's means that the disk is full."""
    return any(words in str(error) for words in _FULL)


def _crypto_extension() -> Path:
    """The httpfs extension's file: the wheel carries it, and encrypted writes need its OpenSSL."""
    root = Path(duckdb_extension_httpfs.__file__).parent / "extensions" / f"v{duckdb.__version__}"
    return root / "httpfs.duckdb_extension"


def _attach(connection: DuckDBPyConnection, path: Path, key: bytes) -> None:
    # The key can't be bound, so it stands in the statement; the statement goes nowhere else.
    try:
        connection.execute(f"ATTACH {literal(str(path))} AS store (ENCRYPTION_KEY '{key.hex()}')")
    except duckdb.Error as error:
        if is_disk_full(error):
            raise DiskFull(action="Free some space, then try again.") from None
        raise StoreDoesNotOpen(
            f"{path.name} is damaged, or its key is not this tenant's.",
            action="Restore the file from a backup, or check which root key the installation uses.",
        ) from None


def _check_format(connection: DuckDBPyConnection) -> None:
    row = connection.execute("SELECT format, duckdb FROM store.spire.meta").fetchone()
    if row is None:
        connection.execute("INSERT INTO store.spire.meta VALUES (?, ?)", [FORMAT, duckdb.__version__])
    elif row[0] != FORMAT or row[1] != duckdb.__version__:
        raise StoreDoesNotOpen(
            f"It was written by format {row[0]} on DuckDB {row[1]}; this is format {FORMAT} on DuckDB "
            f"{duckdb.__version__}.",
            action="Export it with the version that wrote it, then import it here.",
        )


def _roll_back(cursor: DuckDBPyConnection) -> None:
    try:
        cursor.execute("ROLLBACK")
    except duckdb.Error:
        # A failed COMMIT has already ended the transaction.
        pass
