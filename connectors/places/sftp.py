"""A folder of an SFTP server: how it is reached, what lies in it, and what the server means by its errors."""

from __future__ import annotations

import io
import logging
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO, Protocol, TypeVar, cast

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from pydantic import SecretStr

from connectors.pieces import Pieces
from connectors.remote import File, Gone, Pattern
from engine.errors import Retry, Stop

# What goes wrong is said in our words; the client writes stack traces.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)

_CONNECT = 15.0
_READ = 60.0
# What is asked for at once: enough for a fast line, and all that is ever held of a file.
_WINDOW = 4 << 20
_PIECE = 32 << 10


class Unreachable(Retry):
    """The server did not answer, or the connection to it broke. We will try again at the next run."""


class UnknownHost(Stop):
    """The server's host key is not one that was accepted, so nothing was sent to it."""

    fingerprint = ""


class Turned(Stop):
    """The server refused us."""


class NoFolder(Stop):
    """The server has no such folder that this account may read."""


class Place(Protocol):
    """Which folder of which server, how to sign in, and which keys the server may have."""

    host: str
    port: int
    username: str
    password: SecretStr
    key: SecretStr
    host_key: list[str]
    path: str


@dataclass(frozen=True)
class Folder:
    """The folder of the configuration as the connection sees it. Links are not followed."""

    server: paramiko.SFTPClient
    config: Place

    def files(self, pattern: Pattern) -> Iterator[File]:
        waiting = [pattern.begin]
        while waiting:
            below = waiting.pop()
            for entry in self._entries(below):
                path = f"{below}/{entry.filename}" if below else entry.filename
                mode = entry.st_mode or 0
                if stat.S_ISDIR(mode):
                    if not entry.filename.startswith(".") and pattern.enters(path):
                        waiting.append(path)
                elif stat.S_ISREG(mode) and "/" not in entry.filename:
                    yield _file(path, entry)

    def _entries(self, below: str) -> Iterator[paramiko.SFTPAttributes]:
        place = self._place(below)
        listing = self.server.listdir_iter(place, read_aheads=8)
        try:
            while (entry := _told(self.config, lambda: next(listing, None))) is not None:
                yield entry
        except Gone:
            raise NoFolder(place, action="Check the folder, and what this account may read.") from None

    def now(self, file: File) -> File:
        return _file(file.path, _told(self.config, lambda: self.server.lstat(self._place(file.path))))

    def open(self, file: File) -> BinaryIO:
        opened = _told(self.config, lambda: self.server.open(self._place(file.path), "rb"))
        return cast(BinaryIO, _Stream(opened, file.size, self.config))

    def _place(self, path: str) -> str:
        return str(PurePosixPath(self.config.path) / path)


def _file(path: str, entry: paramiko.SFTPAttributes) -> File:
    size = -1 if entry.st_size is None else entry.st_size
    return File(path, size, str(entry.st_mtime or ""), float(entry.st_mtime or 0))


class _Stream(Pieces):
    """A remote file's bytes, a window at a time: requests run ahead within it and no further."""

    def __init__(self, opened: paramiko.SFTPFile, size: int, config: Place) -> None:
        super().__init__(self._next)
        self.opened, self.size, self.config, self.place = opened, size, config, 0

    def _next(self) -> bytes:
        window = _told(self.config, self._window)
        self.place += len(window)
        return window

    def _window(self) -> bytes:
        end = min(self.place + _WINDOW, self.size)
        if self.size < 0 or self.place >= end:  # past what was told: whatever is still there
            self.opened.seek(self.place)
            return self.opened.read(_PIECE)
        pieces = [(at, min(_PIECE, end - at)) for at in range(self.place, end, _PIECE)]
        found = list[bytes]()
        for (_, wanted_size), piece in zip(pieces, self.opened.readv(pieces), strict=True):
            found.append(piece)
            if len(piece) < wanted_size:  # the file is shorter than it was
                break
        return b"".join(found)

    def close(self) -> None:
        if not self.closed:
            self.opened.close()
        super().close()


# ── connecting ───────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def greeted(config: Place, addresses: list[str]) -> Iterator[paramiko.Transport]:
    """A connection to a checked address whose other end has proved the host key that was accepted."""
    place = f"{config.host}:{config.port}"
    connection = _dialled(addresses, config.port, place)
    try:
        transport = paramiko.Transport(connection)
        transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = _CONNECT
    except (paramiko.SSHException, OSError):
        connection.close()
        raise Unreachable(f"{place}: no SSH there.") from None
    try:
        try:
            transport.start_client(timeout=_CONNECT)
            shown = transport.get_remote_server_key()
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise Unreachable(f"{place}: {_said(error)}.") from None
        if shown.fingerprint not in config.host_key:
            raise _unknown(place, shown, config.host_key)
        yield transport
    finally:
        transport.close()


def _unknown(place: str, shown: paramiko.PKey, accepted: list[str]) -> UnknownHost:
    """What is to be compared before it is accepted; of another key than before, that somebody may stand between."""
    action = "Compare it with what the server's operator gives, and put it into Host key to accept it."
    if accepted:
        action = (
            "It is another one than was accepted. Unless its operator says that it was changed, somebody may "
            f"stand between you and the server. {action}"
        )
    found = UnknownHost(f"{place} shows {shown.fingerprint} ({shown.get_name()}).", action=action)
    found.fingerprint = shown.fingerprint
    return found


def _dialled(addresses: list[str], port: int, place: str) -> socket.socket:
    for address in addresses:
        try:
            return socket.create_connection((address, port), timeout=_CONNECT)
        except OSError:
            continue
    raise Unreachable(f"{place}: nobody answers there.")


@contextmanager
def signed_in(config: Place, transport: paramiko.Transport) -> Iterator[paramiko.SFTPClient]:
    place, password = f"{config.host}:{config.port}", config.password.get_secret_value()
    try:
        if text := config.key.get_secret_value():
            transport.auth_publickey(config.username, _key(text, password))
        else:
            transport.auth_password(config.username, password)
        if not transport.is_authenticated():
            raise Turned(f"{place}: it asks for more than a password or a key.")
        server = paramiko.SFTPClient.from_transport(transport)
    except (paramiko.BadAuthenticationType, paramiko.AuthenticationException) as error:
        if isinstance(error, paramiko.AuthenticationException) and "timeout" in str(error).lower():
            raise Unreachable(f"{place}: no answer in time.") from None
        raise Turned(
            f"{place}: The account, its password or its key is wrong.",
            action="Check them, and which way of signing in the server allows.",
        ) from None
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise Unreachable(f"{place}: {_said(error)}.") from None
    if server is None:
        raise Turned(f"{place}: no SFTP for this account.", action="Ask the server's administrator for it.")
    channel = server.get_channel()
    if channel is not None:
        channel.settimeout(_READ)
    try:
        yield server
    finally:
        server.close()


def _key(text: str, password: str) -> paramiko.PKey:
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        try:
            return kind.from_private_key(io.StringIO(text.strip() + "\n"), password or None)
        except (paramiko.SSHException, ValueError, TypeError, IndexError, UnsupportedAlgorithm):
            continue
    raise Turned(
        "The private key can't be read.",
        action="Paste the whole of it, Ed25519, ECDSA or RSA, and its password into Password.",
    )


_T = TypeVar("_T")


def _told(config: Place, ask: Callable[[], _T]) -> _T:
    """What the server answers; its errors in our words. Raises Unreachable, Gone, Turned."""
    place = f"{config.host}:{config.port}"
    try:
        return ask()
    except FileNotFoundError:
        raise Gone(place) from None
    except PermissionError:
        raise Turned(f"{place}: This account may not read it.", action="Ask for the right to read.") from None
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise Unreachable(f"{place}: {_said(error)}.") from None


def _said(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, EOFError | ConnectionError):
        return "the connection broke"
    return type(error).__name__
