"""A real MariaDB on a loopback port, with or without TLS."""

from __future__ import annotations

import secrets
import shutil
import subprocess
from pathlib import Path

from tests.servers.process import Running, Unavailable, free_port, hand_over, launch, unprivileged

PROGRAM, SHARE = Path("/usr/sbin/mariadbd"), Path("/usr/share/mysql")
ACCOUNT, DATABASE = "spire", "feeds"
FAST = ["--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0", "--innodb-buffer-pool-size=64M"]
SYSTEM = ("mysql_system_tables.sql", "mysql_performance_tables.sql", "mysql_system_tables_data.sql")


def start(folder: Path, tls: tuple[Path, Path] | None = None) -> Running:
    """Start a new server with an empty database; `tls` is a certificate and its key, and demands TLS."""
    if not PROGRAM.exists():
        raise Unavailable("the package mariadb-server-core is not installed")
    password, port = secrets.token_hex(12), free_port()
    for name in ("data", "tmp"):
        (folder / name).mkdir()
    options = [f"--datadir={folder}/data", f"--tmpdir={folder}/tmp", "--skip-log-bin", *FAST]
    if tls:
        for source, name in zip(tls, ("server.crt", "server.key"), strict=True):
            shutil.copy(source, folder / name)
        options += [
            f"--ssl-cert={folder}/server.crt",
            f"--ssl-key={folder}/server.key",
            "--require-secure-transport=ON",
        ]
    hand_over(folder)
    words = ["CREATE DATABASE mysql;", "USE mysql;", *((SHARE / name).read_text() for name in SYSTEM)]
    words += [
        "DELETE FROM global_priv WHERE user = '';", "FLUSH PRIVILEGES;", f"CREATE DATABASE {DATABASE};",
        f"CREATE USER {ACCOUNT}@'127.0.0.1' IDENTIFIED BY '{password}';", f"GRANT ALL ON *.* TO {ACCOUNT}@'127.0.0.1';",
    ]  # fmt: skip
    subprocess.run(
        [PROGRAM, "--no-defaults", *options, "--bootstrap", "--skip-networking"],
        input="\n".join(words).encode(),
        check=True,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **unprivileged(),  # type: ignore[call-overload]
    )

    def ready() -> None:
        import socket

        socket.create_connection(("127.0.0.1", port), 2).close()

    pid = launch(
        [
            PROGRAM, "--no-defaults", *options, "--bind-address=127.0.0.1", f"--port={port}", f"--socket={folder}/socket",
            "--skip-name-resolve=1", "--character-set-server=utf8mb4",
        ],
        folder,
        ready=ready,
    )  # fmt: skip
    return Running(f"mysql://{ACCOUNT}:{password}@127.0.0.1:{port}/{DATABASE}", pid, str(folder))
