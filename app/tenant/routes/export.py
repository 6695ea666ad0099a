"""Export: the latest records of a target model as a file, streamed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Literal

import pyarrow as pa
from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from app.tenant import journal
from app.tenant.caller import Here, Who
from app.tenant.desk import Desk, targets
from app.tenant.exports import Writer, columnar, delimited, misp, objects, stix
from app.tenant.routes.targets import model_of
from engine.model import TargetModel
from storage import explorer, glance
from storage.audit import ActionKind

router = APIRouter(tags=["export"])

WRITERS: dict[str, Writer] = {
    w.name: w
    for w in (
        Writer("csv", "CSV", "text/csv; charset=utf-8", "csv", delimited.NOTE, delimited.write),
        Writer("parquet", "Parquet", "application/vnd.apache.parquet", "parquet", "", columnar.write),
        Writer("json", "JSON", "application/json", "json", "", objects.write),
        Writer("ndjson", "NDJSON", "application/x-ndjson", "ndjson", "", objects.lines),
        Writer("stix", "STIX 2.1 bundle", "application/stix+json;version=2.1", "json", stix.NOTE, stix.write),
        Writer("misp", "MISP event", "application/json", "json", misp.NOTE, misp.write),
    )
}
EVERYTHING = "all"
BLOCK = 1 << 18


@router.get("/export/{target}", response_class=StreamingResponse)
def export(
    target: str,
    desk: Here,
    who: Who,
    format: Literal["csv", "parquet", "json", "ndjson", "stix", "misp"] = "csv",
    run: Annotated[int | None, Query(description="Only records of this run.")] = None,
    guard: Annotated[bool, Query(description="CSV: disarm cells that look like formulas.")] = True,
) -> StreamingResponse:
    """The latest records of a target model. `all` with `format=stix` gives every STIX object in one bundle."""
    writer = WRITERS[format]
    if target == EVERYTHING and format == "stix":
        kept = glance.counts(desk.store.cursor())
        models = [m for m in targets(desk).values() if m.name in kept and stix.exportable(m)]
        body = stix.bundle([(model, _batches(desk, model, run)) for model in models])
    else:
        model = model_of(desk, target)
        batches = _batches(desk, model, run)
        body = (
            delimited.lines(model, batches, guard=guard) if format == "csv" else writer.write(model, batches)
        )
    note = (
        writer.note
        if guard or format != "csv"
        else "Cells stand as they are: don't open this in a spreadsheet."
    )
    journal.note(
        desk, who, ActionKind.EXPORT, "records.exported", target, after={"format": format, "run": run}
    )
    headers = {"content-disposition": f'attachment; filename="{target}.{writer.suffix}"'}
    if note:
        headers["x-note"] = note
    return StreamingResponse(_blocks(body), media_type=writer.media_type, headers=headers)


def _blocks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces in larger ones: each piece sent is a turn of the event loop."""
    held = bytearray()
    for piece in pieces:
        held += piece
        if len(held) >= BLOCK:
            yield bytes(held)
            held.clear()
    yield bytes(held)


def _batches(desk: Desk, model: TargetModel, run: int | None) -> Iterator[pa.RecordBatch]:
    with explorer.interruptible(desk.store.cursor()) as cursor:
        yield from explorer.batches(cursor, model, run=run)
