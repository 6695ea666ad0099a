"""Mappings: suggested, tried on a sample, and compared with what is stored."""

from __future__ import annotations

from fastapi import APIRouter

from app.tenant import journal, suggesting, trying
from app.tenant.caller import Here, Who
from app.tenant.desk import source
from app.tenant.schemas.mappings import (
    Impact,
    ImpactRequest,
    MappingPreview,
    PreviewRequest,
    Suggestions,
    SuggestRequest,
)
from storage.audit import ActionKind

router = APIRouter(tags=["mappings"])


@router.post("/suggest")
def suggest(body: SuggestRequest, desk: Here, who: Who) -> Suggestions:
    """Mappings for a source, every pair with its score, its reasons and the runner-up."""
    journal.note(desk, who, ActionKind.READ, "mapping.suggested", body.source)
    return suggesting.suggestions(desk, source(desk, body.source), body.target)


@router.post("/preview")
def preview(body: PreviewRequest, desk: Here, who: Who) -> MappingPreview:
    """What mappings make of a sample: output beside input, and why a row would be rejected."""
    journal.note(desk, who, ActionKind.READ, "mapping.previewed", body.source)
    return trying.preview(desk, source(desk, body.source), body.mappings, body.rows)


@router.post("/impact")
def impact(body: ImpactRequest, desk: Here, who: Who) -> Impact:
    """Which stored records would differ under changed mappings, with examples."""
    journal.note(desk, who, ActionKind.READ, "mapping.compared", body.pipeline)
    return trying.compare(desk, body.pipeline, body.mappings, body.examples)
