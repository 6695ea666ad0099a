"""The command line: `spire`. Commands do their work through the client, like everybody else."""

from __future__ import annotations

import gc

# What imports make stays for good: looking through it for garbage would be a fifth of a command's start.
gc.disable()

from app.cli.program import main  # noqa: E402

gc.freeze()
gc.enable()

__all__ = ["main"]
