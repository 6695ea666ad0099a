"""Files that are private, on the disk for good, or not there at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from engine.errors import Retry

# A quota and a size limit stop us just as a full disk does.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class DiskFull(Retry):
    """The disk is full. Nothing half-written was kept, and everything before is safe."""


@contextmanager
def room(where: str) -> Iterator[None]:
    """Turn the system's word for a full disk into DiskFull, which says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise DiskFull(where, action="Make room on it, then try again.") from error


def sync_folder(folder: Path) -> None:
    """Put the folder's names on the disk: a file's own fsync does not."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def private(path: Path, *, empty: bool = True) -> BinaryIO:
    """Open a file for reading and writing that only its owner can read; never through a link."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | (os.O_TRUNC if empty else 0)
    return open(os.open(path, flags, 0o600), "r+b", buffering=0)
