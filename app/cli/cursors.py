"""Commands about cursors: where a pipeline's source stands, set by hand, or led back."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from app.cli import access
from app.cli.options import Json, Tenant
from app.cli.words import leave, say, show, table
from engine.errors import Stop

cursor_commands = typer.Typer(help="Cursors: up to where a source was read.", no_args_is_help=True)
Pipeline = Annotated[str, typer.Argument(help="The pipeline's id.")]
Reason = Annotated[str, typer.Option(help="Why; it stands in the audit log.")]


class NoCursor(Stop):
    """This is no cursor."""


@cursor_commands.command("show")
def show_cursor(pipeline: Pipeline, tenant: Tenant = "default", as_json: Json = False) -> None:
    """Say where a source stands, and what would be read again from the places before."""
    with access.tenant(tenant) as client:
        found = client.cursor(pipeline)
    if as_json:
        show(found)
        return
    say(found.says)
    if found.cursor is not None:
        say(json.dumps(found.cursor, ensure_ascii=False))
    if found.points:
        say("")
        table(
            ("run", "left it (UTC)", "where", "rows since", "runs since"),
            [(p.run, p.at, p.says, p.rows, p.runs) for p in found.points],
        )


@cursor_commands.command("set")
def set_cursor(
    pipeline: Pipeline,
    cursor: Annotated[
        str, typer.Argument(help="The cursor as JSON, as `show` gives it; null is the beginning.")
    ],
    reason: Reason = "",
    tenant: Tenant = "default",
    as_json: Json = False,
) -> None:
    """Set a cursor by hand; one the source could not have given is refused."""
    try:
        given = json.loads(cursor)
    except json.JSONDecodeError as error:
        raise NoCursor(f"At character {error.pos + 1}: {error.msg}.", action="Give JSON.") from None
    if given is not None and not isinstance(given, dict):
        raise NoCursor(
            "It is no JSON object.", action="Take what `spire cursor show` gives, and change its values."
        )
    with access.tenant(tenant) as client:
        found = client.set_cursor(pipeline, given, reason)
    show(found) if as_json else say(found.says)


@cursor_commands.command("rewind")
def rewind_cursor(
    pipeline: Pipeline,
    run: Annotated[
        int | None, typer.Option(help="Back to where this run left it; the beginning by default.")
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do it; without, only say what will be read again.")
    ] = False,
    reason: Reason = "",
    tenant: Tenant = "default",
    as_json: Json = False,
) -> None:
    """Lead a source back, once it was said what will be read again."""
    with access.tenant(tenant) as client:
        before = client.cursor(pipeline)
        point = next((p for p in before.points if p.run == run and (run is not None or p.at is None)), None)
        if point is None:
            raise NoCursor(
                f"Run {run} left none." if run is not None else "The source is at its beginning.",
                action="See `spire cursor show`.",
            )
        if not as_json:
            say(point.says, f"Rows read since: {point.rows:,}, in {point.runs:,} runs. They are read again.")
        if not yes:
            if as_json:
                show(point)
            else:
                say("Nothing was changed; add --yes to do it.")
            leave(0)
        found = client.rewind_cursor(pipeline, run, reason)
    show(found) if as_json else say("Done. The next run begins there.")
