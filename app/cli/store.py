"""Commands on what is stored: rejects, replay, query, export."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from app.cli import access
from app.cli.options import Json, Tenant
from app.cli.words import leave, say, show, table, tell

Run = Annotated[int | None, typer.Option("--run", help="Only of this run.")]
Pipeline = Annotated[str | None, typer.Option("--pipeline", help="Only of this pipeline.")]


def rejects(
    run: Run = None,
    pipeline: Pipeline = None,
    causes: Annotated[bool, typer.Option("--causes/--rows", help="Grouped by cause, or row by row.")] = True,
    state: Annotated[str, typer.Option(help="open, replayed, dismissed, any (with --rows).")] = "open",
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write them all to this file instead.")
    ] = None,
    format: Annotated[str, typer.Option("--format", "-f", help="Of the file: csv, ndjson.")] = "csv",
    tenant: Tenant = "default",
    as_json: Json = False,
) -> None:
    """Show what waits in quarantine, by cause with proposed fixes, or row by row; or write it to a file."""
    with access.tenant(tenant) as client:
        if output is not None:
            written = _write(client.export_rejects(format, run=run, pipeline=pipeline, state=state), output)
            if as_json:
                show({"format": format, "path": str(output), "bytes": written})
            else:
                say(f"{output}: {written:,} bytes.")
            return
        if causes:
            found = client.causes(run=run, pipeline=pipeline)
            if as_json:
                show(found)
                return
            table(
                ("rows", "rule", "why", "proposed"),
                [(c.rows, c.rule, c.reason, c.proposals[0].title if c.proposals else "") for c in found],
            )
            return
        page = client.rejects(run=run, pipeline=pipeline, state=state, limit=limit)
    if as_json:
        show(page)
        return
    table(
        ("id", "run", "line", "why", "row"),
        [(r.id, r.run, r.line, r.reason, r.fixed if r.fixed is not None else r.raw) for r in page.rejects],
    )


def replay(
    ids: Annotated[
        list[int] | None, typer.Argument(help="Rejects by number; else all that were repaired.")
    ] = None,
    run: Run = None,
    pipeline: Pipeline = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also those not repaired, as after a change of the mapping.")
    ] = False,
    tenant: Tenant = "default",
    as_json: Json = False,
) -> None:
    """Run rejects again, and only those."""
    with access.tenant(tenant) as client:
        done = client.replay(ids=ids or None, run=run, pipeline=pipeline, all_open=everything, wait=600)
    if as_json:
        show(done)
        return
    if not done.runs:
        say("Nothing to replay: repair some first, or use --all.")
        return
    for ledger in done.ledgers:
        kept = ", ".join(
            f"{ledger[n]:,} {n}" for n in ("inserted", "updated", "unchanged", "duplicate", "rejected")
        )
        say(f"Run {ledger['run']:,} {ledger['state']}: {ledger['read']:,} read, {kept}.")


def query(
    sql: Annotated[str, typer.Argument(help="One SELECT over your records, e.g. SELECT * FROM indicator.")],
    limit: Annotated[int, typer.Option(min=1, max=100_000)] = 1000,
    timeout: Annotated[float, typer.Option(min=0.1, max=300)] = 30,
    tenant: Tenant = "default",
    as_json: Json = False,
) -> None:
    """Ask the records in SQL, read-only."""
    with access.tenant(tenant) as client:
        found = client.query(sql, limit, timeout)
    if as_json:
        show({"columns": found.columns, "rows": found.rows, "truncated": found.truncated})
        return
    table(found.columns, found.rows)
    if found.truncated:
        tell(f"There are more than {limit:,} rows.")


def export(
    target: Annotated[str, typer.Argument(help="A target model; `all` with --format stix or misp.")],
    format: Annotated[
        str, typer.Option("--format", "-f", help="csv, parquet, json, ndjson, stix, misp.")
    ] = "csv",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file; else standard output.")
    ] = None,
    run: Run = None,
    guard: Annotated[bool, typer.Option(help="CSV: disarm cells that look like formulas.")] = True,
    tenant: Tenant = "default",
    as_json: Json = False,
) -> None:
    """Write records as a file of another format."""
    if output is None and format == "parquet" and sys.stdout.isatty():
        tell("Parquet is no text: name a file with --output.")
        leave(2)
    with access.tenant(tenant) as client:
        written = _write(client.export(target, format, run=run, guard=guard), output)
    if output is not None:
        if as_json:
            show({"target": target, "format": format, "path": str(output), "bytes": written})
        else:
            say(f"{output}: {written:,} bytes.")


def _write(pieces: Iterator[bytes], output: Path | None) -> int:
    """Write the pieces to a file, or to standard output; gives how many bytes that was."""
    written = 0
    # Nothing is made or cut off before the server has agreed.
    first = next(pieces, b"")
    sink = output.open("wb") if output is not None else sys.stdout.buffer
    try:
        for piece in chain([first], pieces):
            written += sink.write(piece)
        sink.flush()
    finally:
        if output is not None:
            sink.close()
    return written
