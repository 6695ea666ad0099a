"""The command `spire doctor`: what this installation needs, looked at one by one."""

from __future__ import annotations

from dataclasses import asdict

from app.cli.chosen import settings
from app.cli.options import Json
from app.cli.words import leave, say, show
from app.doctor import examine


def doctor(as_json: Json = False) -> None:
    """Check Python, DuckDB and its encryption, the root key, disk, port, clock and locks."""
    found = list(examine(settings()))
    if as_json:
        show({"ok": all(f.ok for f in found), "checks": [asdict(f) for f in found]})
    else:
        width = max(len(f.name) for f in found)
        for finding in found:
            say(f"{'ok ' if finding.ok else 'BAD'}  {finding.name.ljust(width)}  {finding.detail}")
            if finding.action:
                say(f"     {''.ljust(width)}  {finding.action}")
    leave(0 if all(f.ok for f in found) else 1)
