"""gzip, zip and zstd, taken off while reading. Limits count the bytes that really come, not what a header says."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import zipfile
import zlib
from collections.abc import Callable
from typing import BinaryIO, Literal, cast

import zstandard

from connectors.formats.limits import (
    EXPANDED_BYTES,
    EXPANSION,
    EXPANSION_FREE,
    SPOOLED_BYTES,
    Damaged,
    Locked,
    Refused,
)

Compression = Literal["none", "gzip", "zip", "zstd"]
_ERRORS = (EOFError, OSError, zlib.error, lzma.LZMAError, zstandard.ZstdError, zipfile.BadZipFile)
_NOT_DATA = (".md", ".rst", ".pdf", ".png", ".jpg", ".html", ".sig", ".asc", ".sha256", ".md5")


def compression_of(head: bytes) -> Compression:
    """What the first bytes say."""
    if head.startswith(b"\x1f\x8b\x08"):
        return "gzip"
    if head.startswith(b"\x28\xb5\x2f\xfd") or (
        head[1:4] == b"\x2a\x4d\x18" and head[:1] and 0x50 <= head[0] <= 0x5F
    ):
        return "zstd"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    return "none"


class _Counted(io.RawIOBase):
    """A decompressed stream that stops where it grows beyond what its source can honestly hold."""

    def __init__(self, inner: BinaryIO, taken: Callable[[], int], name: str) -> None:
        self.inner, self.taken, self.name, self.given = inner, taken, name, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def]
        try:
            data = self.inner.read(len(buffer))
        except RuntimeError as error:
            raise Locked(self.name) from error
        except _ERRORS as error:
            raise Damaged(f"{self.name}, after {self.given:,} bytes: {error}") from error
        buffer[: len(data)] = data
        self.given += len(data)
        if self.given > EXPANDED_BYTES:
            raise Refused(f"{self.name} unpacks to more than {EXPANDED_BYTES:,} bytes.")
        if self.given > EXPANSION_FREE and self.given > EXPANSION * max(self.taken(), 1):
            raise Refused(
                f"{self.name} unpacks to more than {EXPANSION} times its size (after {self.given:,} bytes)."
            )
        return len(data)


class _Source(io.RawIOBase):
    """Counts what is taken from the packed stream."""

    def __init__(self, inner: BinaryIO) -> None:
        self.inner, self.taken = inner, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def]
        data = self.inner.read(len(buffer))
        buffer[: len(data)] = data
        self.taken += len(data)
        return len(data)


def unpacked(stream: BinaryIO, how: Compression, member: str = "") -> BinaryIO:
    """The stream without its compression; `member` names a zip's file."""
    if how == "none":
        return stream
    if how == "zip":
        archive = _archive(stream)
        info = next((i for i in archive.infolist() if i.filename == member), None)
        if info is None:
            raise Damaged(f"the archive has no file {member}")
        if info.flag_bits & 1:
            raise Locked(member)
        try:
            inner: BinaryIO = cast(BinaryIO, archive.open(info))
        except (*_ERRORS, NotImplementedError) as error:
            raise Damaged(f"{member}: {error}") from error
        return _buffered(inner, lambda: info.compress_size, member)
    source = _Source(stream)
    packed = io.BufferedReader(source, 1 << 18)
    if how == "gzip":
        return _buffered(cast(BinaryIO, gzip.GzipFile(fileobj=packed)), lambda: source.taken, "the gzip file")
    reader = zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(
        packed, read_across_frames=True
    )
    return _buffered(cast(BinaryIO, reader), lambda: source.taken, "the zstd file")


def _buffered(inner: BinaryIO, taken: Callable[[], int], name: str) -> BinaryIO:
    return cast(BinaryIO, io.BufferedReader(_Counted(inner, taken, name), 1 << 20))


def _archive(stream: BinaryIO) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(stream)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise Damaged(f"the zip archive: {error}") from error


def members(stream: BinaryIO) -> list[str]:
    """A zip's data files, largest first; Locked where they are encrypted."""
    infos = [
        info
        for info in _archive(stream).infolist()
        if not info.is_dir()
        and info.file_size
        and not info.filename.startswith("__MACOSX/")
        and not os.path.basename(info.filename).startswith(".")
    ]
    if infos and all(info.flag_bits & 1 for info in infos):
        raise Locked(infos[0].filename)
    data = [
        i for i in infos if not i.filename.lower().endswith(_NOT_DATA) and "license" not in i.filename.lower()
    ]
    return [i.filename for i in sorted(data or infos, key=lambda i: (-i.file_size, i.filename))]


def is_workbook(stream: BinaryIO) -> bool:
    """Whether a zip archive is really an Excel or OpenDocument workbook."""
    try:
        names = set(zipfile.ZipFile(stream).namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return False
    return bool(names & {"xl/workbook.xml", "xl/workbook.bin"}) or (
        "content.xml" in names and "mimetype" in names
    )


def seekable(stream: BinaryIO, limit: int = SPOOLED_BYTES) -> BinaryIO:
    """The stream, or where it can't be rewound a copy of it in memory."""
    if stream.seekable():
        return stream
    handle = os.memfd_create("spire-spool", os.MFD_CLOEXEC)
    copy = cast(BinaryIO, os.fdopen(handle, "w+b"))
    size = 0
    while data := stream.read(1 << 20):
        size += len(data)
        if size > limit:
            copy.close()
            raise Refused(f"This format must be held in memory as a whole, up to {limit:,} bytes.")
        copy.write(data)
    copy.seek(0)
    return copy
