"""The command line: `spire`. Commands do their work through the client, like everybody else."""

from __future__ import annotations

from app.cli.program import main

__all__ = ["main"]
