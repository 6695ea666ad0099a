"""How things stand: what needs a person, and how fresh the data is."""

from __future__ import annotations

from fastapi import APIRouter

from app.tenant import standing
from app.tenant.caller import Here
from app.tenant.schemas.standing import Counts, Standing

router = APIRouter(tags=["catalogue"])


@router.get("/standing")
def get(desk: Here) -> Standing:
    """What waits for a person, most urgent first, and the age of each pipeline's newest data."""
    return standing.standing(desk)


@router.get("/standing/counts")
def counts(desk: Here) -> Counts:
    """Rows in quarantine and pipelines whose last run failed."""
    return standing.counts(desk)
