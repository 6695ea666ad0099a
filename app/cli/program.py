"""The program `spire`: its commands, its settings as flags, and its errors without a stack trace."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Annotated

import httpx
import typer

from app.cli import chosen, credentials, cursors, doctor, jobs, people, store, watch
from app.cli.options import Json
from app.cli.words import explain, leave, pairs, say, show, tell
from app.supervisor import ROOT
from engine.errors import Bug, SpireError, Stop

app = typer.Typer(
    name="spire",
    help="Phantom Spire: a dropped file becomes trusted records. Every setting is a flag anywhere on the line, "
    "and a SPIRE_* variable: see `spire settings`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    jobs.ingest, jobs.suggest, jobs.preview, jobs.run, jobs.runs, store.rejects, store.replay, jobs.undo,
    store.query, store.export, doctor.doctor,
):  # fmt: skip
    app.command()(command)
app.add_typer(people.tenant_commands, name="tenant")
app.add_typer(people.user_commands, name="user")
app.add_typer(people.key_commands, name="key")
app.add_typer(credentials.credential_commands, name="credential")
app.add_typer(watch.schedule_commands, name="schedule")
app.add_typer(cursors.cursor_commands, name="cursor")
app.add_typer(watch.audit_commands, name="audit")


class NoBenchmarks(Stop):
    """The benchmarks are not installed with the program."""


@app.command()
def serve(as_json: Json = False) -> None:
    """Serve the browser app and the API. Prints where to go, and at first a one-time set-up link."""
    from app.gateway.serve import serve as serve_gateway

    settings = chosen.settings()

    def announce(line: str) -> None:
        show({"says": line}) if as_json else say(line)
        sys.stdout.flush()

    serve_gateway(settings, announce)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def bench(context: typer.Context) -> None:
    """Measure the whole path against DuckDB alone; what follows is passed on (try --help)."""
    if not (ROOT / "benchmarks" / "run_all.py").exists():
        raise NoBenchmarks(action="Run it in a clone of the repository.")
    leave(subprocess.call([sys.executable, "-m", "benchmarks.run_all", *context.args], cwd=ROOT))


@app.command()
def settings(as_json: Json = False) -> None:
    """List every setting with its flag, its variable and its value now."""
    values = chosen.settings().model_dump(mode="json")
    if as_json:
        show(values)
        return
    for flag, variable, _, description in chosen.described():
        name = variable.removeprefix("SPIRE_").lower()
        say(f"{flag}  {variable}")
        value = values[name]
        # A port is a name, not a quantity: it has no thousands.
        plain = str(value) if isinstance(value, int) and name == "port" else value
        pairs([("  ", description), ("  now", plain)])


@app.callback()
def _spire(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    if version:
        from app.tenant.version import installed

        say(f"Phantom Spire {installed()}")
        raise typer.Exit()


def main(arguments: list[str] | None = None) -> None:
    """Run a command. Exit codes: 0 good, 1 not, 2 not understood, 130 interrupted."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in given
    try:
        app(chosen.take(given), standalone_mode=True)
    except SpireError as error:
        explain(error, as_json=as_json)
        if isinstance(error, Bug):
            tell("This is our mistake. Please report what you did and the lines above.")
        leave(1)
    except httpx.TransportError as error:
        explain(Stop(f"The connection broke: {type(error).__name__}."), as_json=as_json)
        leave(1)
    except KeyboardInterrupt:
        leave(130)
    except BrokenPipeError:
        # The reader of our output has left, as `head` does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        leave(0)
