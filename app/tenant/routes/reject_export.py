"""Rejects as a file, streamed: for whoever sent the rows, or to work on them elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from app.tenant import journal
from app.tenant.caller import Here, Who
from app.tenant.desk import Desk
from app.tenant.exports import blocks, rejected
from app.tenant.reject_views import as_rows
from app.tenant.routes.rejects import Wanted
from storage import quarantine
from storage.audit import ActionKind

router = APIRouter(tags=["rejects"])
PAGE = 1000


@router.get("/rejects/export", response_class=StreamingResponse)
def export(
    desk: Here,
    who: Who,
    wanted: Wanted,
    format: Literal["csv", "ndjson"] = "csv",
    guard: Annotated[bool, Query(description="CSV: disarm cells that look like formulas.")] = True,
) -> StreamingResponse:
    """Rejects in order of their number: cause, raw line, file and line number. `X-Rejects` says how many."""
    with desk.store.cursor() as cursor:
        total = quarantine.total(cursor, **wanted)
    asked = {name: value for name, value in wanted.items() if value is not None}
    journal.note(
        desk, who, ActionKind.EXPORT, "rejects.exported", wanted["pipeline"] or str(asked.get("run", "")),
        after={"format": format, "rejects": total} | asked,
    )  # fmt: skip
    media_type, write = rejected.WRITERS[format]
    headers = {"content-disposition": f'attachment; filename="rejects.{format}"', "x-rejects": str(total)}
    body = write(_pages(desk, wanted), guard=guard)
    return StreamingResponse(blocks(body), media_type=media_type, headers=headers)


def _pages(desk: Desk, wanted: dict[str, Any]) -> Iterator[list[rejected.Row]]:
    after = 0
    while True:
        with desk.store.cursor() as cursor:
            found = quarantine.select(cursor, **wanted, after=after, limit=PAGE)
        if not found:
            return
        yield as_rows(desk, found)
        after = found[-1].id
