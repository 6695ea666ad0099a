"""Options that many commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Tenant = Annotated[str, typer.Option("--tenant", "-t", envvar="SPIRE_TENANT", help="The tenant to work in.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
