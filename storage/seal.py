"""Seals: a stream of bytes encrypted chunk by chunk, so that no chunk can be read wrong, cut, or moved.

STREAM (Hoang, Reyhanitabar, Rogaway, Vizár 2015) over AES-256-GCM. A sealed file is

    magic(8) salt(32) { prefix(7) ciphertext(≤ 1 MiB) tag(16) }…

Each file has a key of its own, HKDF-SHA256 of the landing key with the salt and the place. Chunk i is
sealed under the nonce prefix ‖ i ‖ last, with the header and the place (purpose, tenant, run, number) as
associated data. Only the last chunk may be short, and it alone carries the last flag.

The prefix is drawn anew by every sealer and stands before each chunk: a chunk torn by a crash and
written again with other bytes never meets the nonce it had before.
"""

from __future__ import annotations

import hashlib
import io
import os
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from engine.errors import Bug, Stop

CHUNK = 1 << 20
_MAGIC = b"SPSEAL1\n"
_SALT = 32
_HEADER = len(_MAGIC) + _SALT
_PREFIX = 7
_TAG = 16
_OVERHEAD = _PREFIX + _TAG
_STORED = CHUNK + _OVERHEAD
_MOST_CHUNKS = 1 << 32

_BESIDE = ThreadPoolExecutor(2, "hash")

Bytes = bytes | bytearray | memoryview


class Tampered(Stop):
    """A sealed payload is not as it was written, so nothing of the damaged part was used."""


class _Chunks:
    """The cipher of one sealed file: seals and opens its chunks, each bound to its place."""

    def __init__(self, key: bytes, salt: bytes, tenant: str, run: str, number: int, purpose: str) -> None:
        if len(key) != 32:
            raise Bug("a sealing key has 32 bytes")
        parts = (purpose.encode(), tenant.encode(), run.encode(), number.to_bytes(8, "big"))
        place = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        kdf = HKDF(algorithm=SHA256(), length=32, salt=salt, info=b"phantom-spire/seal/1\0" + place)
        self._aead = AESGCM(kdf.derive(key))
        self._bound = _MAGIC + salt + place
        self.where = f"Tenant {tenant}, {run}, {purpose} {number}"

    def seal(self, prefix: bytes, index: int, last: bool, plain: Bytes) -> bytes:
        return self._aead.encrypt(_nonce(prefix, index, last), plain, self._bound)

    def open(self, index: int, last: bool, stored: Bytes) -> bytes:
        view = memoryview(stored)
        if len(view) < _OVERHEAD or (last and index and len(view) == _OVERHEAD):
            raise self.tampered(index)
        nonce = _nonce(bytes(view[:_PREFIX]), index, last)
        try:
            return self._aead.decrypt(nonce, view[_PREFIX:], self._bound)
        except InvalidTag:
            raise self.tampered(index) from None

    def tampered(self, index: int) -> Tampered:
        return Tampered(
            f"{self.where}, chunk {index}.",
            action="Restore this file from a backup, or load the payload again.",
        )


def _nonce(prefix: bytes, index: int, last: bool) -> bytes:
    return prefix + index.to_bytes(4, "big") + bytes((last,))


def _write_all(sink: BinaryIO, data: Bytes) -> None:
    # An unbuffered file may take only part of what it is given, just before the disk is full.
    view = memoryview(data)
    while view:
        view = view[sink.write(view) :]


class Sealer:
    """Seal what is written to it into `sink`; complete only once closed.

    Holds at most one chunk in memory, and what is still being hashed. `size` and, once it is closed, `sha256` are of the plaintext. As a
    context manager it closes on success only: after an exception the sink holds no last chunk, and can't
    be opened. The sink stays open, and is not synced: both are the caller's.
    """

    def __init__(
        self, sink: BinaryIO, key: bytes, tenant: str, run: str, number: int, *, purpose: str = "segment"
    ) -> None:
        salt = os.urandom(_SALT)
        self._begin(sink, _Chunks(key, salt, tenant, run, number, purpose))
        _write_all(sink, _MAGIC + salt)

    def _begin(self, sink: BinaryIO, chunks: _Chunks) -> None:
        self._sink = sink
        self._chunks = chunks
        self._prefix = os.urandom(_PREFIX)
        self._held = bytearray()
        self._index = 0
        self._open = True
        self._hash = hashlib.sha256()
        self._hashing: Future[None] | None = None
        self.size = 0

    @classmethod
    def resume(
        cls, sink: BinaryIO, key: bytes, tenant: str, run: str, number: int, *, purpose: str = "segment"
    ) -> Sealer:
        """Go on with a file a killed sealer left: keep every chunk that opens, cut off the rest.

        `sink` is readable, writable and seekable. `size` says where to go on: a multiple of CHUNK.
        """
        sink.seek(0)
        header = sink.read(_HEADER)
        if len(header) < _HEADER or not header.startswith(_MAGIC):
            sink.seek(0)
            sink.truncate()
            return cls(sink, key, tenant, run, number, purpose=purpose)
        sealer = cls.__new__(cls)
        sealer._begin(sink, _Chunks(key, header[len(_MAGIC) :], tenant, run, number, purpose))
        while len(stored := sink.read(_STORED)) == _STORED:
            try:
                plain = sealer._chunks.open(sealer._index, False, stored)
            except Tampered:
                break
            sealer._hash.update(plain)
            sealer._index += 1
        sink.seek(_HEADER + sealer._index * _STORED)
        sink.truncate()
        sealer.size = sealer._index * CHUNK
        return sealer

    @property
    def sha256(self) -> str:
        self._hashed()
        return self._hash.hexdigest()

    @property
    def held(self) -> bytes:
        """The plaintext not yet sealed: the last `len(held)` bytes of `size`."""
        return bytes(self._held)

    def sealed(self, index: int) -> bytes:
        """The plaintext of a chunk already written. `sink` must be readable and seekable."""
        self._sink.seek(_HEADER + index * _STORED)
        stored = self._sink.read(_STORED)
        self._sink.seek(_HEADER + self._index * _STORED)
        return self._chunks.open(index, False, stored)

    def fresh(self, data: memoryview, offset: int) -> memoryview | None:
        """What of the data at `offset` was not written before; None where what was written there is another."""
        while len(data) and offset < self.size:
            sealed = self.size - len(self._held)
            index, inside = divmod(offset, CHUNK)
            known = self.sealed(index)[inside:] if offset < sealed else self.held[offset - sealed :]
            known = known[: len(data)]
            if data[: len(known)] != known:
                return None
            data = data[len(known) :]
            offset += len(known)
        return data

    def write(self, data: Bytes) -> int:
        """Take all of `data`. A full chunk waits for the byte after it, since it may be the last."""
        if not self._open:
            raise Bug("this seal is closed")
        view = memoryview(data).cast("B")
        self._hash_beside(view)
        at = 0
        while at < len(view):
            if len(self._held) == CHUNK:
                self._put(self._held, last=False)
                self._held = bytearray()
            if not self._held and len(view) - at > CHUNK:
                self._put(view[at : at + CHUNK], last=False)
                taken = CHUNK
            else:
                taken = min(CHUNK - len(self._held), len(view) - at)
                self._held += view[at : at + taken]
            self.size += taken
            at += taken
        if not view.readonly:
            self._hashed()
        return len(view)

    def _hash_beside(self, view: memoryview) -> None:
        """Hashing takes as long as all the rest: another processor does it, until there is more to hash.

        It holds what was written last until it is done, so what may change is waited for.
        """
        self._hashed()
        if len(view) < CHUNK:
            self._hash.update(view)
        else:
            self._hashing = _BESIDE.submit(self._hash.update, view)

    def _hashed(self) -> None:
        if self._hashing is not None:
            self._hashing.result()
            self._hashing = None

    def _put(self, plain: Bytes, last: bool) -> None:
        if self._index >= _MOST_CHUNKS:
            raise Stop("A payload has at most 4 PiB.", action="Split it.")
        # Until the chunk is whole on the sink this sealer is not to be used: see `resume`.
        self._open = False
        sealed = self._chunks.seal(self._prefix, self._index, last, plain)
        _write_all(self._sink, self._prefix)
        _write_all(self._sink, sealed)
        self._index += 1
        self._open = not last

    def close(self) -> None:
        """Write the last chunk; nothing can be added after it."""
        if not self._open:
            raise Bug("this seal is closed")
        self._put(self._held, last=True)
        self._held = bytearray()

    def __enter__(self) -> Sealer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()


class _Unsealed(io.RawIOBase):
    """The plaintext of a sealed file, opened chunk by chunk where it is read."""

    def __init__(self, source: BinaryIO, chunks: _Chunks, stored: int) -> None:
        self._source = source
        self._chunks = chunks
        self._count = -(-(stored - _HEADER) // _STORED)
        self._at = 0
        self._index = -1
        self._plain = b""
        # Opening the last chunk first proves the length: a cut file is refused before it is read.
        self._load(max(self._count - 1, 0))
        self.size = (self._count - 1) * CHUNK + len(self._plain)

    def _load(self, index: int) -> None:
        if index != self._index:
            self._index, self._plain = -1, b""
            self._source.seek(_HEADER + index * _STORED)
            stored = self._source.read(_STORED)
            self._plain = self._chunks.open(index, index == self._count - 1, stored)
            self._index = index

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        if start + offset < 0:
            raise ValueError("negative seek position")
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        view = memoryview(buffer).cast("B")
        done = 0
        while done < len(view) and self._at < self.size:
            index, inside = divmod(self._at, CHUNK)
            self._load(index)
            piece = memoryview(self._plain)[inside : inside + len(view) - done]
            view[done : done + len(piece)] = piece
            done += len(piece)
            self._at += len(piece)
        return done

    def readall(self) -> bytes:
        whole = bytearray(max(self.size - self._at, 0))
        self.readinto(whole)
        return bytes(whole)

    def close(self) -> None:
        if not self.closed:
            self._plain = b""
            self._source.close()
        super().close()


def open_sealed(
    source: BinaryIO, key: bytes, tenant: str, run: str, number: int, *, purpose: str = "segment"
) -> io.BufferedReader:
    """Open a sealed file for reading anywhere in it; `source` is seekable and closes with the reader.

    The length is proven here; every chunk before any of its bytes is given out. Not for use by two
    threads at once. Errors: Tampered, naming segment and chunk.
    """
    stored = source.seek(0, io.SEEK_END)
    source.seek(0)
    header = source.read(_HEADER)
    salt = header[len(_MAGIC) :]
    chunks = _Chunks(key, salt.ljust(_SALT, b"\0"), tenant, run, number, purpose)
    if len(header) < _HEADER or not header.startswith(_MAGIC):
        raise Tampered(f"{chunks.where}, its header.", action="Restore this file from a backup.")
    return io.BufferedReader(_Unsealed(source, chunks, stored), buffer_size=256 << 10)
