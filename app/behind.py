"""Work that nobody waits for goes behind what somebody waits for."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress

# A load is no faster than what reads and commits in it: those go before its threads that stage.
LOADING, STAGING = 9, 14


def go_behind(further: int = LOADING) -> None:
    """Let the calling thread, and those it begins, go behind all others of its process, for good.

    Niceness is a thread's own on Linux only.
    """
    if sys.platform == "linux":
        with suppress(OSError):
            # That of the first thread: one that is begun by a thread behind is behind already.
            first = os.getpriority(os.PRIO_PROCESS, os.getpid())
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), first + further)
