"""Commands that bring data in: ingest, suggest, preview, run, runs, undo."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from app.cli import access
from app.cli.options import Json, Tenant
from app.cli.words import explain, leave, pairs, say, show, table, tell
from app.client import Client
from app.tenant.schemas.runs import LedgerView, RunDetail, RunView
from engine.errors import SpireError, Stop

LEDGER = ("read", "inserted", "updated", "unchanged", "duplicate", "rejected", "filtered", "balanced")
Mapping = Annotated[
    Path | None,
    typer.Option(
        "--mapping", "-m", exists=True, dir_okay=False, help="A mapping or pipeline in YAML or SQL."
    ),
]
Target = Annotated[str | None, typer.Option("--target", help="The target model, e.g. indicator.")]


class NothingToRead(Stop):
    """There is no file to read."""


def ingest(
    paths: Annotated[list[Path], typer.Argument(help="Files, or folders of files; - for standard input.")],
    target: Target = None,
    mapping: Mapping = None,
    source: Annotated[str | None, typer.Option(help="The source's id; by default the file's name.")] = None,
    tenant: Tenant = "default",
    as_json: Json = False,
) -> None:
    """Do the whole job: seal, read, map, check, deduplicate, store; print the ledger.

    Ends with 0 only where every run finished and its books balance.
    """
    text = mapping.read_text(encoding="utf-8") if mapping else None
    files = _files(paths)
    ledgers: list[dict[str, Any]] = []
    good = True
    with access.tenant(tenant) as client:
        for path in files:
            try:
                ended = _ingest_one(client, path, target, text, source, quiet=as_json)
            except SpireError as error:
                if len(files) == 1:
                    raise
                explain(error, as_json=as_json)
                ledgers.append({"run": None, **LedgerView(balanced=False).model_dump()})
                good = False
                continue
            ledgers.append({"run": ended.run, **{name: getattr(ended.ledger, name) for name in LEDGER}})
            good = good and ended.state == "finished" and ended.ledger.balanced
            if not as_json:
                _tell_run(ended, path.name)
            elif ended.state != "finished":
                tell(_failure(ended))
    if as_json:
        show(ledgers[0] if len(ledgers) == 1 else ledgers)
    leave(0 if good else 1)


def suggest(
    what: Annotated[str, typer.Argument(help="A file, or the id of a source.")],
    target: Target = None,
    as_yaml: Annotated[
        bool, typer.Option("--yaml", help="Print the mapping alone, to keep or change.")
    ] = False,
    tenant: Tenant = "default",
    as_json: Json = False,
) -> None:
    """Suggest a mapping, each pair with its score, its reason and the runner-up."""
    with access.tenant(tenant) as client:
        source = _source(client, what)
        found = client.suggest(source, target)
        beside = "" if as_json else _unreadable(client, source)
    if as_json:
        show(found)
        return
    ready = [m.model_dump(mode="json", by_alias=True, exclude_defaults=True) for m in found.ready]
    if ready and not found.suggestions:
        if as_yaml:
            say(yaml.safe_dump({"mappings": ready}, sort_keys=False, allow_unicode=True, width=100))
        else:
            say(f"This format describes itself: {len(ready)} mappings, ready to run.")
        return
    if not found.suggestions:
        say("No target model suits this source.")
        leave(1)
    best = found.suggestions[0]
    if as_yaml:
        plain = best.mapping.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        say(yaml.safe_dump({"mappings": [plain]}, sort_keys=False, allow_unicode=True, width=100))
        return
    others = ", ".join(f"{s.target} {s.fit}" for s in found.suggestions[1:])
    say(
        f"{best.target} (fit {best.fit}), from {found.extent}{beside}"
        + (f"; else {others}" if others else ""),
        "",
    )
    rows = [
        (f.field, f.best.source, f.best.score, "yes" if f.accepted else "", "; ".join(f.best.reasons),
         f"{f.runner_up.source} {f.runner_up.score}" if f.runner_up else "")
        for f in best.fields
        if f.best
    ]  # fmt: skip
    table(("target field", "source field", "score", "mapped", "because", "runner-up"), rows)
    for note in best.notes:
        say(note)
    if best.missing:
        say(f"Missing: {', '.join(best.missing)}")
    if best.unused:
        say(f"Not used: {', '.join(best.unused)}")


def _unreadable(client: Client, source: str) -> str:
    """What is said beside "all 8 rows" where more came that could not be read."""
    count = client.source_preview(source, limit=1).rejected
    return f" that can be read ({count:,} more can't, and would be rejected)" if count else ""


def preview(
    what: Annotated[str, typer.Argument(help="A file, or the id of a source.")],
    target: Target = None,
    mapping: Mapping = None,
    rows: Annotated[int, typer.Option(min=1, max=5000, help="How many rows to look at.")] = 20,
    tenant: Tenant = "default",
    as_json: Json = False,
) -> None:
    """Show what a mapping makes of a sample; without one, of the suggested mapping."""
    with access.tenant(tenant) as client:
        source = _source(client, what)
        if mapping is not None:
            mappings = client.read_mappings(mapping.read_text(encoding="utf-8"))
        else:
            found = client.suggest(source, target)
            mappings = list(found.ready if found.ready and target is None else [found.suggestions[0].mapping])
        shown = client.preview(source, mappings, rows)
        beside = "" if as_json else _unreadable(client, source)
    if as_json:
        show(shown)
        return
    say(f"{shown.extent}{beside}: {shown.good:,} good, {shown.warned:,} with warnings, {shown.rejected:,} rejected, "
        f"{shown.filtered:,} filtered", "")  # fmt: skip
    names = (
        [
            name
            for name in shown.rows[0].values
            if any(row.values.get(name) is not None for row in shown.rows)
        ][:6]
        if shown.rows
        else []
    )
    table(
        ("line", "outcome", *names, "why"),
        [
            (
                row.line,
                row.outcome,
                *(row.values.get(n) for n in names),
                "; ".join(f["message"] for f in row.failed),
            )
            for row in shown.rows
        ],
    )


def run(
    pipeline: Annotated[str, typer.Argument(help="The pipeline's id.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Go through every row and keep nothing.")
    ] = False,
    tenant: Tenant = "default",
    as_json: Json = False,
) -> None:
    """Run a pipeline and wait for its end."""
    with access.tenant(tenant) as client:
        ended = client.start_run(pipeline, dry_run=dry_run, wait=2)
        if ended.state == "running":
            ended = client.wait_run(ended.run, told=None if as_json else _progress)
    if as_json:
        show(ended)
    else:
        _tell_run(ended, pipeline)
        for outcome, rows in ended.examples.items():
            if not rows:
                continue
            say("", f"{outcome}, for example:")
            for row in rows[:3]:
                say(
                    "  "
                    + ", ".join(f"{k}={v}" for k, v in row.items() if v is not None and k[0] != "_")[:150]
                )
    leave(0 if ended.state == "finished" and ended.ledger.balanced else 1)


def runs(
    number: Annotated[int | None, typer.Argument(help="One run, in detail.")] = None,
    pipeline: Annotated[str | None, typer.Option(help="Only this pipeline's.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 20,
    tenant: Tenant = "default",
    as_json: Json = False,
) -> None:
    """List runs, newest first, or show one."""
    with access.tenant(tenant) as client:
        if number is not None:
            found = client.run(number)
            if as_json:
                show(found)
                return
            _tell_run(found, found.pipeline)
            if found.findings:
                say("")
                table(
                    ("rule", "field", "severity", "rows"),
                    [(f.message, f.field, f.severity, f.rows) for f in found.findings],
                )
            return
        page = client.runs(pipeline=pipeline, limit=limit)
    if as_json:
        show(page)
        return
    table(
        ("run", "pipeline", "state", "started", *LEDGER[:-1]),
        [
            (r.run, r.pipeline, r.state, r.started, *(getattr(r.ledger, n) for n in LEDGER[:-1]))
            for r in page.runs
        ],
    )


def undo(
    number: Annotated[int, typer.Argument(help="The run to undo.")],
    tenant: Tenant = "default",
    as_json: Json = False,
) -> None:
    """Undo a run: what it wrote is removed, and what it replaced is back."""
    with access.tenant(tenant) as client:
        done = client.undo_run(number)
    if as_json:
        show(done)
    else:
        say(f"Run {number:,} is undone: {done.removed:,} versions removed.")


def _ingest_one(
    client: Client, path: Path, target: str | None, mapping: str | None, source: str | None, *, quiet: bool
) -> RunDetail:
    def sent(done: int, size: int) -> None:
        if not quiet and sys.stderr.isatty():
            print(f"\r{path.name}: {done:,} of {size:,} bytes sealed", end="", file=sys.stderr)

    if str(path) == "-":
        payload = client.upload_stream(sys.stdin.buffer, source or "standard input", told=sent)
    else:
        payload = client.upload(path, told=sent)
    begun = client.ingest_payload(payload.payload, target=target, mapping=mapping, source=source, wait=0)
    ended = client.wait_run(begun.run, told=None if quiet else _progress)
    # What was noted while the mapping was found out is known only to who asked for it.
    return ended.model_copy(update={"notes": list(dict.fromkeys([*begun.notes, *ended.notes]))})


def _files(paths: list[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
        elif str(path) == "-" or path.is_file():
            found.append(path)
        else:
            raise NothingToRead(str(path), action="Check the path.")
    if not found:
        raise NothingToRead(", ".join(map(str, paths)))
    return found


def _source(client: Client, what: str) -> str:
    """The id of a source; a file becomes one, or the next payload of the one of its name."""
    path = Path(what)
    if not path.is_file():
        return client.source(what).source.id
    from app.tenant.defining import slug

    payload = client.upload(path)
    id = slug(path.name, "source")
    if any(view.source.id == id for view in client.sources()):
        return client.change_source(id, payload=payload.payload).source.id
    return client.create_source(payload=payload.payload, id=id, name=path.name).source.id


def _progress(run: RunView) -> None:
    if run.progress is not None and sys.stderr.isatty():
        print(f"\r{run.progress.rows:,} rows, {run.progress.rate:,.0f} a second", end="", file=sys.stderr)


def _tell_run(run: RunDetail, name: str) -> None:
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)
    say(f"{name}: " + ("dry run, nothing kept" if run.kind == "dry" else f"run {run.run:,} {run.state}"))
    pairs([(f"  {n}", getattr(run.ledger, n)) for n in LEDGER[:-1]])
    say("  the books balance" if run.ledger.balanced else "  THE BOOKS DO NOT BALANCE")
    for note in run.notes:
        say(f"  note: {note}")
    if run.error:
        say("  " + _failure(run))


def _failure(run: RunDetail) -> str:
    error = run.error or {}
    return (
        " ".join(str(error[n]) for n in ("title", "where", "action") if error.get(n))
        or f"The run is {run.state}."
    )
