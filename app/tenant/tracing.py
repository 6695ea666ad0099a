"""Tracing: from a stored version of a record to its payload, line, run and mapping, and to its raw line."""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np

from app.tenant.desk import Desk
from app.tenant.loading import shape_of
from app.tenant.replaying import chunks_of, form_of
from app.tenant.schemas.records import FieldOrigin, Origin
from connectors.formats import reader
from engine.lineage import lineage
from engine.mapping import address
from engine.model import Mapping, Pipeline, Shape, Source
from engine.ports import Chunk, Segment
from storage import definitions, glance, quarantine, runs, texts
from storage.definitions import NotFound
from storage.quarantine import Reject
from storage.runs import Run

# A line is looked for by reading its payload from the start; beyond this many bytes it isn't.
_LOOK_FAR = 256 << 20


def origin_of(desk: Desk, version: dict[str, Any], *, raw: bool) -> Origin | None:
    """Where a version came from. With `raw` its line is fetched from the landing zone."""
    cursor = desk.store.cursor()
    try:
        run = runs.get(cursor, version["_run"])
    except NotFound:
        return None
    pipeline = Pipeline.model_validate(definitions.get(cursor, "pipeline", run.pipeline, run.version).body)
    made = definitions.versions(cursor, "source", pipeline.source)
    source = Source.model_validate(made[0].body) if made else None
    reject = _replayed(desk, run, version["_segment"], version["_line"])
    segment = segment_of(desk, reject.run if reject else run.run, version["_segment"])
    text = None
    if raw and segment is not None and source is not None and source.shape is not None:
        text = raw_line(desk, segment, shape_of(source), version["_line"])
    return Origin(
        run=run.run,
        pipeline=run.pipeline,
        pipeline_version=run.version,
        mapping=version["_mapping"],
        started=run.started,
        started_by=run.started_by,
        source=pipeline.source,
        source_name=source.name if source else pipeline.source,
        payload=segment.name if segment else "",
        sha256=segment.sha256 if segment else "",
        size=segment.size if segment else 0,
        line=version["_line"],
        raw=text,
        reject=reject.id if reject else None,
        repaired=shown(reject.fixed) if reject and reject.fixed is not None else None,
    )


def _replayed(desk: Desk, run: Run, segment: int, line: int) -> Reject | None:
    """The reject a replayed row was first, however often it was replayed."""
    cursor, found = desk.store.cursor(), None
    while run.kind == "replay":
        before = quarantine.replayed_by(cursor, run.run, segment, line)
        if before is None:
            break
        found, run = before, runs.get(cursor, before.run)
    return found


def segment_of(desk: Desk, run: int, number: int) -> Segment | None:
    """The sealed payload that was segment `number` of a run."""
    found = runs.segments(desk.store.cursor(), run)
    return found[number][0] if 0 <= number < len(found) else None


def raw_line(desk: Desk, segment: Segment, shape: Shape, line: int) -> str | None:
    """What stands on a line of a payload, as it was received; None where it is not found near enough."""
    found = _at_line(desk, segment, shape, line)
    return shown(found[0]) if found else None


def values_at(desk: Desk, version: dict[str, Any], shape: Shape) -> dict[str, str | None]:
    """The source's values a version was made of, by field: the repaired ones where its row was repaired."""
    run = runs.get(desk.store.cursor(), version["_run"])
    reject = _replayed(desk, run, version["_segment"], version["_line"])
    if reject is not None and reject.fixed is not None:
        for chunk in chunks_of(shape, form_of(shape, reject), [reject]):
            return _values(desk, shape, chunk, 0)
    segment = segment_of(desk, reject.run if reject else run.run, version["_segment"])
    return source_row(desk, segment, shape, version["_line"]) if segment else {}


def source_row(desk: Desk, segment: Segment, shape: Shape, line: int) -> dict[str, str | None]:
    """The row on a line of a payload, by source field; empty where there is none."""
    found = _at_line(desk, segment, shape, line)
    if found is None or found[1] is None:
        return {}
    return _values(desk, shape, *found[1])


def _values(desk: Desk, shape: Shape, chunk: Chunk, at: int) -> dict[str, str | None]:
    with desk.store.cursor() as cursor:
        table = texts.hold(cursor, f"line_{secrets.token_hex(6)}", shape.fields, [chunk], most=1, raw=False)
        try:
            rows = glance.rows(cursor, table, [at])
            return rows[0].values if rows else {}
        finally:
            glance.let_go(cursor, table)


def _at_line(
    desk: Desk, segment: Segment, shape: Shape, line: int
) -> tuple[bytes, tuple[Chunk, int] | None] | None:
    """The bytes on a line and, if they are a row, its chunk and place in it."""
    if segment.size > _LOOK_FAR:
        return None
    with desk.landing.open(segment) as stream:
        for chunk in (c.proven for c in reader(shape).read(stream, shape)):
            for fault in chunk.faults:
                if fault.line == line:
                    return fault.raw, None
            at = _place(chunk, line)
            if at is not None:
                return chunk.raw([at])[0], (chunk, at)
    return None


def _place(chunk: Chunk, line: int) -> int | None:
    if chunk.lines is None:
        at = line - chunk.first_line
        return at if 0 <= at < chunk.rows else None
    found = np.flatnonzero(chunk.lines == line)
    return int(found[0]) if len(found) else None


def shown(raw: bytes) -> str:
    """Bytes as a person reads them: UTF-8, and what isn't as \\xNN."""
    return raw.decode("utf-8", "backslashreplace")


def fields_origin(mapping: Mapping, values: dict[str, Any], row: dict[str, str | None]) -> list[FieldOrigin]:
    """How each mapped field of a record was made, with the source's values on its line."""
    return [
        FieldOrigin(
            field=way.field,
            value=values.get(way.field),
            origin=way.origin,
            sources={name: row.get(name) for name in way.sources},
            steps=list(way.steps),
        )
        for way in lineage(mapping).values()
    ]


def mapping_of(pipeline: Pipeline, version: str) -> Mapping | None:
    """The mapping with that content address among a pipeline's."""
    return next((m for m in pipeline.mappings if address(m) == version), None)
