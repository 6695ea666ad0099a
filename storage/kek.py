"""Root keys: what wraps a tenant's key, so that the data folder and the database alone are useless.

A wrapped key is one blob that says how it was made:

    magic(4) kind(1) [argon2 salt(16) time(4) memory(4) lanes(4)] salt(32) commitment(32) nonce(12) ciphertext

From the root key and `salt`, HKDF-SHA256 gives a key for this blob alone and a commitment to it. The
commitment tells a wrong root key from a damaged blob, and leaves no blob that opens under two root keys.
All before the ciphertext, and the context (the tenant), are associated data of the AES-256-GCM wrap.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import stat
import struct
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from engine.errors import Stop
from storage.disk import sync_folder

_MAGIC = b"SPK1"
_PASSPHRASE, _KEY_FILE = b"p", b"f"
_NAMES = {_PASSPHRASE: "a passphrase", _KEY_FILE: "a key file"}
_COST = struct.Struct(">16sIII")


class WrongRootKey(Stop):
    """The root key does not open this tenant's key, so nothing was opened and nothing was changed."""


class DamagedKey(Stop):
    """The wrapped key was altered, or belongs to another tenant."""


class KeyFileRefused(Stop):
    """The key file can't be used as it is."""


class WeakPassphrase(Stop):
    """The passphrase is too short to guard the root key: it needs at least 12 characters."""


class Kek(Protocol):
    """Wraps and unwraps keys. `context` (the tenant) must be the same for both."""

    def wrap(self, key: bytes, context: bytes) -> bytes: ...

    def unwrap(self, blob: bytes, context: bytes) -> bytes: ...


def _split(root: bytes, salt: bytes, kind: bytes) -> tuple[AESGCM, bytes]:
    kdf = HKDF(algorithm=SHA256(), length=64, salt=salt, info=b"phantom-spire/kek/1\0" + kind)
    both = kdf.derive(root)
    return AESGCM(both[:32]), both[32:]


def _wrap(root: bytes, head: bytes, key: bytes, context: bytes) -> bytes:
    salt, nonce = os.urandom(32), os.urandom(12)
    aead, commitment = _split(root, salt, head[4:5])
    front = head + salt + commitment + nonce
    return front + aead.encrypt(nonce, key, front + context)


def _unwrap(root: bytes, head: bytes, blob: bytes, context: bytes) -> bytes:
    start = len(head)
    salt, commitment, nonce = (
        blob[start : start + 32],
        blob[start + 32 : start + 64],
        blob[start + 64 : start + 76],
    )
    where = f"Tenant {context.decode(errors='replace')}."
    aead, expected = _split(root, salt, head[4:5])
    if not hmac.compare_digest(commitment, expected):
        raise WrongRootKey(
            where, action="Start with the passphrase or key file this installation was made with."
        )
    try:
        return aead.decrypt(nonce, blob[start + 76 :], blob[: start + 76] + context)
    except InvalidTag:
        raise DamagedKey(where, action="Restore the control database from a backup.") from None


def _check_kind(blob: bytes, kind: bytes, size: int, context: bytes) -> None:
    where = f"Tenant {context.decode(errors='replace')}"
    if not blob.startswith(_MAGIC) or len(blob) < size:
        raise DamagedKey(f"{where}.", action="Restore the control database from a backup.")
    if blob[4:5] != kind:
        made = _NAMES.get(blob[4:5], "another kind of root key")
        raise WrongRootKey(
            f"{where}: its key was wrapped with {made}, and {_NAMES[kind]} was given.",
            action=f"Start with {made}.",
        )


@dataclass(frozen=True)
class Cost:
    """What Argon2id spends on a passphrase: passes, KiB of memory, lanes. RFC 9106 §4, second choice, doubled."""

    time: int = 3
    memory: int = 128 * 1024
    lanes: int = 4


# An altered blob must not make us spend the machine's memory on it.
_MOST = Cost(time=64, memory=1 << 20, lanes=64)


class Passphrase:
    """A root key from a passphrase, stretched with Argon2id. Salt and cost stand in each wrapped key."""

    def __init__(self, passphrase: str, cost: Cost | None = None) -> None:
        if len(passphrase) < 12:
            raise WeakPassphrase()
        # The same passphrase typed on another keyboard may come composed differently.
        self._secret = unicodedata.normalize("NFC", passphrase).encode()
        self._cost = cost or Cost()
        self._salt = os.urandom(16)
        self._roots: dict[tuple[bytes, Cost], bytes] = {}

    def __repr__(self) -> str:
        return "Passphrase(…)"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a root key is not written anywhere")

    def _root(self, salt: bytes, cost: Cost) -> bytes:
        if (salt, cost) not in self._roots:
            self._roots[salt, cost] = hash_secret_raw(
                self._secret, salt, cost.time, cost.memory, cost.lanes, 32, Type.ID
            )
        return self._roots[salt, cost]

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Wrap `key` for `context`."""
        cost = self._cost
        head = _MAGIC + _PASSPHRASE + _COST.pack(self._salt, cost.time, cost.memory, cost.lanes)
        return _wrap(self._root(self._salt, cost), head, key, context)

    def unwrap(self, blob: bytes, context: bytes) -> bytes:
        """The key inside. Errors: WrongRootKey, DamagedKey."""
        head = 5 + _COST.size
        _check_kind(blob, _PASSPHRASE, head + 76 + 16, context)
        salt, time, memory, lanes = _COST.unpack(blob[5:head])
        cost = Cost(time, memory, lanes)
        fits = 1 <= time <= _MOST.time and 1 <= lanes <= _MOST.lanes and 8 * lanes <= memory <= _MOST.memory
        if not fits:
            raise DamagedKey(f"Tenant {context.decode(errors='replace')}.")
        return _unwrap(self._root(salt, cost), blob[:head], blob, context)


class KeyFile:
    """A root key from 32 random bytes in a file that only its owner can read."""

    def __init__(self, root: bytes) -> None:
        if len(root) != 32:
            raise KeyFileRefused("It must hold 32 bytes, in hexadecimal or base64.")
        self._root = root

    def __repr__(self) -> str:
        return "KeyFile(…)"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a root key is not written anywhere")

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Wrap `key` for `context`."""
        return _wrap(self._root, _MAGIC + _KEY_FILE, key, context)

    def unwrap(self, blob: bytes, context: bytes) -> bytes:
        """The key inside. Errors: WrongRootKey, DamagedKey."""
        _check_kind(blob, _KEY_FILE, 5 + 76 + 16, context)
        return _unwrap(self._root, blob[:5], blob, context)


def _refuse_inside(path: Path, data: Path) -> None:
    # Beside what it locks, the key would travel with every copy of the data.
    if path.resolve().is_relative_to(data.resolve()):
        raise KeyFileRefused(f"{path} is inside the data folder {data}.", action="Keep it outside.")


def create_key_file(path: Path, *, data: Path) -> KeyFile:
    """Make a key file with mode 0600 outside the data folder `data`; never over one that is there."""
    _refuse_inside(path, data)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    root = os.urandom(32)
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        raise KeyFileRefused(f"{path} is already there.", action="Use it, or name another.") from None
    with open(number, "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(root.hex().encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)
    return KeyFile(root)


def load_key_file(path: Path, *, data: Path) -> KeyFile:
    """Read a key file that only its owner may read. Errors: KeyFileRefused, saying why and what to do."""
    _refuse_inside(path, data)
    try:
        # Judge the file that was opened, not the name: it may change in between.
        number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise KeyFileRefused(f"{path}: {error.strerror}.", action="Give the key file's place.") from None
    try:
        about = os.fstat(number)
        if not stat.S_ISREG(about.st_mode):
            raise KeyFileRefused(f"{path} is not a file.")
        if about.st_mode & 0o077:
            raise KeyFileRefused(f"Others can read or change {path}.", action=f"Run chmod 600 {path}")
        if about.st_uid not in (0, os.geteuid()):
            raise KeyFileRefused(f"{path} belongs to another user.", action="Own it yourself.")
        text = os.read(number, 4096).strip()
    finally:
        os.close(number)
    return KeyFile(_decode(text))


def _decode(text: bytes) -> bytes:
    if len(text) == 64:
        try:
            return bytes.fromhex(text.decode("ascii"))
        except ValueError:
            return b""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
