"""Export: the latest records of a target model as a file, streamed, and what will not be in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import orjson
import pyarrow as pa
from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from app.tenant import journal
from app.tenant.asking import Asked
from app.tenant.caller import Here, Who
from app.tenant.desk import Desk, targets
from app.tenant.exports import Writer, blocks, columnar, delimited, misp, misp_file, objects, stix
from app.tenant.routes.targets import model_of
from app.tenant.schemas.records import ExportManifest, LeftOut
from engine.model import TargetModel
from storage import explorer, glance
from storage.audit import ActionKind
from storage.filters import Filter

router = APIRouter(tags=["export"])

WRITERS: dict[str, Writer] = {
    w.name: w
    for w in (
        Writer("csv", "CSV", "text/csv; charset=utf-8", "csv", delimited.NOTE, None),
        Writer("parquet", "Parquet", "application/vnd.apache.parquet", "parquet", "", columnar.write),
        Writer("json", "JSON", "application/json", "json", "", objects.write),
        Writer("ndjson", "NDJSON", "application/x-ndjson", "ndjson", "", objects.lines),
        Writer("stix", "STIX 2.1 bundle", "application/stix+json;version=2.1", "json", stix.NOTE, stix.write,
               stix.lacks, {"$.type": "", "$.id": "id"}),
        Writer("misp", "MISP events", "application/json", "json", misp_file.NOTE, None, misp_file.lacks, {"$.row": ""}),
    )
}  # fmt: skip
EVERYTHING = "all"
UNGUARDED = "Cells stand as they are: don't open this in a spreadsheet."
Format = Literal["csv", "parquet", "json", "ndjson", "stix", "misp"]


@router.get("/export/{target}", response_class=StreamingResponse)
def export(
    target: str,
    desk: Here,
    who: Who,
    asked: Asked,
    format: Format = "csv",
    guard: Annotated[bool, Query(description="CSV: disarm cells that look like formulas.")] = True,
) -> StreamingResponse:
    """The latest records of a target model, under the filters of `/records/{target}`.

    `all` with `format=stix` gives every STIX object in one bundle, with `format=misp` every event with all that
    it holds. `X-Left-Out` says as JSON how many records the format can't hold, by reason.
    """
    writer = WRITERS[format]
    models = _models(desk, target, format)
    if format == "misp":
        body = _events(desk, models, asked, "Records" if target == EVERYTHING else models[0].title or target)
    elif target == EVERYTHING:
        body = stix.bundle([(model, _batches(desk, model, asked)) for model in models])
    else:
        batches = _batches(desk, models[0], asked)
        body = (
            delimited.lines(models[0], batches, guard=guard)
            if writer.write is None
            else writer.write(models[0], batches)
        )
    manifest = _manifest(desk, target, models, writer, asked, guard)
    journal.note(
        desk, who, ActionKind.EXPORT, "records.exported", target,
        after={"format": format, "run": asked.run, "records": manifest.exported},
    )  # fmt: skip
    headers = {"content-disposition": f'attachment; filename="{target}.{writer.suffix}"'}
    if manifest.note:
        headers["x-note"] = manifest.note
    if manifest.left_out:
        headers["x-left-out"] = orjson.dumps({one.reason: one.count for one in manifest.left_out}).decode()
    return StreamingResponse(blocks(body), media_type=writer.media_type, headers=headers)


@router.get("/export/{target}/manifest")
def manifest(
    target: str, desk: Here, asked: Asked, format: Format = "csv", guard: bool = True
) -> ExportManifest:
    """What an export would hold: how many records, which are left out and why, and what is changed."""
    models = _models(desk, target, format)
    return _manifest(desk, target, models, WRITERS[format], asked, guard)


def _models(desk: Desk, target: str, format: str) -> list[TargetModel]:
    if target != EVERYTHING or format not in ("stix", "misp"):
        model = model_of(desk, target)
        if format == "stix":
            stix.refuse(model)
        elif format == "misp":
            misp.refuse(model, ("report",))
        return [model]
    kept = glance.counts(desk.store.cursor())
    if format == "misp":
        return [m for m in targets(desk).values() if m.name in kept and m.name in misp_file.MODELS]
    return [m for m in targets(desk).values() if m.name in kept and stix.exportable(m)]


def _manifest(
    desk: Desk, target: str, models: list[TargetModel], writer: Writer, asked: Filter, guard: bool
) -> ExportManifest:
    total, reasons = 0, dict[str, int]()
    for model in models:
        meant, left = explorer.lacking(desk.store.cursor(), model, asked, writer.lacks(model), writer.whole)
        total += meant
        for reason, count in left.items():
            reasons[reason] = reasons.get(reason, 0) + count
    return ExportManifest(
        target=target,
        format=writer.name,
        title=writer.title,
        records=total,
        exported=total - sum(reasons.values()),
        left_out=[LeftOut(reason=reason, count=count) for reason, count in reasons.items()],
        note=writer.note if guard or writer.name != "csv" else UNGUARDED,
    )


def _events(desk: Desk, models: list[TargetModel], asked: Filter, title: str) -> Iterator[bytes]:
    known = targets(desk)

    def rows(model: TargetModel, asked: Filter, *, within: bool) -> Iterator[pa.RecordBatch]:
        with explorer.interruptible(desk.store.cursor()) as cursor:
            yield from explorer.of_events(cursor, model, asked, within=within)

    def seen(ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
        with explorer.interruptible(desk.store.cursor()) as cursor:
            return explorer.sightings(cursor, known["sighting"], ids)

    parts = [misp_file.Part(m, rows(m, asked, within=False), rows(m, asked, within=True)) for m in models]
    if all(model.name != "report" for model in models):
        parts.append(
            misp_file.Part(known["report"], within=rows(known["report"], Filter(), within=True), bare=True)
        )
    return misp_file.write(parts, seen, info=f"{title} from Phantom Spire", at=datetime.now(UTC))


def _batches(desk: Desk, model: TargetModel, asked: Filter) -> Iterator[pa.RecordBatch]:
    with explorer.interruptible(desk.store.cursor()) as cursor:
        yield from explorer.batches(cursor, model, asked)
