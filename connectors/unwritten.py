"""Secrets as files for libraries that insist on a path: in memory, readable by us alone, and never on a disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def unwritten(text: str) -> Iterator[str]:
    """A path under which this process finds the text, as long as the context lasts."""
    handle = os.memfd_create("secret", os.MFD_CLOEXEC)
    try:
        os.fchmod(handle, 0o600)
        os.write(handle, text.encode())
        yield f"/proc/self/fd/{handle}"
    finally:
        os.close(handle)
