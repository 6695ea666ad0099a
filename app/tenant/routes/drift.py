"""Drift: what runs found of their sources, the mapping that follows, and the contract of a pipeline."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC

from fastapi import APIRouter

from app.tenant import drift, drift_patching, journal
from app.tenant.caller import Here, Who
from app.tenant.desk import Desk
from app.tenant.routes import pipelines
from app.tenant.schemas.drift import (
    ContractChange,
    DriftAccept,
    DriftAccepted,
    DriftDismiss,
    DriftPatch,
    DriftView,
    FindingView,
)
from app.tenant.schemas.pipelines import PipelineView
from engine.model import Pipeline
from storage import definitions, quarantine, runs
from storage import drift as kept
from storage.audit import ActionKind
from storage.definitions import NotFound
from storage.drift import Drift

router = APIRouter(tags=["drift"])


@router.get("/pipelines/{id}/drift")
def get(id: str, desk: Here) -> DriftView | None:
    """How the source differs from what the mapping was written for, as long as nobody has answered it.

    Found by a run, or in an uploaded file that the next run will read.
    """
    definitions.get(desk.store.cursor(), "pipeline", id)
    found = kept.latest(desk.store.cursor(), id) or drift.waiting(desk, id)
    return view(desk, found) if found else None


@router.post("/pipelines/{id}/drift/{run}/try")
def try_patch(id: str, run: int, desk: Here, who: Who) -> DriftPatch:
    """The patched mapping, and what it makes of that run's payload. Nothing is changed."""
    journal.note(desk, who, ActionKind.READ, "drift.tried", id)
    return drift_patching.tried(desk, id, run)


@router.post("/pipelines/{id}/drift/accept")
def accept(id: str, body: DriftAccept, desk: Here, who: Who) -> DriftAccepted:
    """Take the patched mapping as a new version, and replay the rejects of that run."""
    return drift_patching.accept(desk, who, id, body)


@router.post("/pipelines/{id}/drift/dismiss", status_code=204)
def dismiss(id: str, body: DriftDismiss, desk: Here, who: Who) -> None:
    """Take the source as it is from now on; the mapping stays."""
    drift_patching.dismiss(desk, who, id, body.run)


@router.put("/pipelines/{id}/contract")
def contract(id: str, body: ContractChange, desk: Here, who: Who) -> PipelineView:
    """Say what a run does where its source has changed; a new version of the pipeline."""
    before = definitions.get(desk.store.cursor(), "pipeline", id)
    now = Pipeline.model_validate(before.body)
    known = drift.known_of(desk, now, before.version)
    changed = now.model_copy(update={"contract": body.contract})
    saved = pipelines.save(desk, who, changed, comment="Changed the contract.", based_on=body.based_on)
    if known is not None:
        # Nobody has looked at the source anew: what was expected of it still is.
        with desk.store.transaction() as cursor:
            kept.keep_known(cursor, replace(known, version=saved.version), desk.now())
    return saved


def view(desk: Desk, found: Drift) -> DriftView:
    """A drift as it is shown."""
    cursor = desk.store.cursor()
    try:
        made = Pipeline.model_validate(
            definitions.get(cursor, "pipeline", found.pipeline, found.version).body
        )
    except NotFound:
        made = None
    read = drift.fields_read(made) if made else set()
    words = made.contract if made else Pipeline.model_fields["contract"].default
    run = found.run != drift.NO_RUN
    open_ = quarantine.causes(cursor, run=found.run) if run else []
    error = runs.get(cursor, found.run).error if run else None
    return DriftView(
        run=found.run,
        pipeline=found.pipeline,
        version=found.version,
        state=found.state,
        who=found.who,
        at=found.at.replace(tzinfo=UTC),
        looked=found.look.rows,
        findings=[
            FindingView(**f.model_dump(), read=f.field in read, word=getattr(words, drift.word_of(f.kind)))
            for f in found.findings
        ],
        quarantined=sum(cause.rows for cause in open_),
        froze=bool(error and error.get("title") == drift.Froze.__doc__),
        contract=words,
    )
