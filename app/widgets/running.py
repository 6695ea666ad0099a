"""A run as people see it: its outcome in words, its stages, and starting one."""

from __future__ import annotations

from typing import Any

from app.client import Client
from app.roles import Permission
from app.tenant.schemas.runs import IngestResult, RunView
from app.widgets import access, words
from app.widgets.listing import Column, Row, cell, listing

STAGES = ("fetch", "seal", "open", "stage", "apply", "commit")


def outcome(run: RunView) -> tuple[str, str]:
    """What became of a run in a few words, and their tone."""
    if run.state == "running":
        return "Running", "muted"
    if run.state == "undone":
        return "Undone", "muted"
    if run.state == "cancelled":
        return "Cancelled, what it committed stays", "wait"
    if run.state == "failed":
        return "Failed", "bad"
    if not run.ledger.balanced:
        return "Books do not balance", "bad"
    if run.ledger.rejected:
        return f"Balanced, {words.count(run.ledger.rejected, 'reject')}", "bad"
    if not run.ledger.read:
        return "Nothing to read", "muted"
    if not run.ledger.inserted and not run.ledger.updated:
        return "Balanced, nothing new", "muted"
    return "Balanced", "ok"


def stages(seconds: dict[str, Any]) -> None:
    """Time per stage, as bars against the longest."""
    spent = {name: float(value) for name, value in seconds.items() if isinstance(value, int | float)}
    order = sorted(spent, key=lambda name: STAGES.index(name) if name in STAGES else len(STAGES))
    longest = max(spent.values(), default=0) or 1
    rows = [
        Row(
            name,
            [
                cell(name.capitalize(), tone="b"),
                cell(span=[0, spent[name] / longest]),
                cell(words.seconds(spent[name])),
            ],
            go=False,
        )
        for name in order
    ]
    listing(
        "Stages",
        [Column(), Column(width="50%"), Column(right=True)],
        rows,
        key="stages",
        none="Not measured.",
    )


def why_not_run(source: Any) -> str | None:
    """Why this person can't run a source that describes itself, None where they can.

    An analyst may not save pipelines, and only a received file can be run without one.
    """
    if access.may(Permission.WORK) and source.connector != "upload":
        return access.why_not(Permission.BUILD)
    return access.why_not(Permission.WORK)


def run_source(client: Client, source: Any) -> int:
    """Run a self-describing source as it is: through its pipeline, or a new one. Gives the run's number."""
    there = next((p for p in client.pipelines() if p.pipeline.source == source.id), None)
    if there is None and access.may(Permission.BUILD):
        there = client.create_pipeline(
            name=source.name, source=source.id, mappings=list(source.shape.mappings)
        )
    if there is not None:
        return client.start_run(there.pipeline.id).run
    done = client.post("/ingest", IngestResult, payload=source.config.get("upload"), source=source.id, wait=0)
    return done.run
