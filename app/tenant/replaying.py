"""Replaying: rows in quarantine, repaired or under a better mapping, go through the plan again."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from app.tenant import drift
from app.tenant.desk import Desk, pipeline, source
from app.tenant.loading import go, limits_of, plan_of, read_by, shape_of
from connectors.formats import FORMATS
from engine.drift_guard import guard_of
from engine.errors import Stop
from engine.model import Dialect, Shape
from engine.ports import Chunk, Fault
from engine.run import Placed, Progress, run
from storage import definitions, quarantine, runs
from storage.books import RunBooks
from storage.quarantine import Reject


class NothingToReplay(Stop):
    """None of these rows is still in quarantine."""


class OnePipelineAtATime(Stop):
    """These rows belong to several pipelines; replay those of one at a time."""


def replay(desk: Desk, ids: Sequence[int], *, by: str) -> int:
    """Start a run over the open rejects among `ids` and return its number.

    They go through the pipeline's latest mapping. Those that fail again are new rejects of the replay;
    the old ones are closed. Replaying what is closed already does nothing, so repeating is harmless.
    """
    cursor = desk.store.cursor()
    rejects = quarantine.select(cursor, ids=ids, limit=None)
    if not rejects:
        raise NothingToReplay(action="They may have been replayed or dismissed already.")
    pipelines = {r.pipeline for r in rejects}
    if len(pipelines) > 1:
        raise OnePipelineAtATime(", ".join(sorted(pipelines)))
    (pipeline_id,) = pipelines
    definition = definitions.get(cursor, "pipeline", pipeline_id)
    body = {"rejects": len(rejects), "runs": sorted({r.run for r in rejects})}
    # Marked as working before it is in the books, as a load is.
    with desk.working():
        number = runs.begin(desk.store, pipeline_id, definition.version, "replay", body, by, desk.now())
        work = (desk, number, pipeline_id, definition.version, rejects)
        go(desk, number, lambda progress: _replay(*work, progress))
    return number


def _replay(
    desk: Desk, number: int, pipeline_id: str, version: int, rejects: list[Reject], progress: Progress
) -> list[str]:
    replayed = pipeline(desk, pipeline_id, version)
    read = source(desk, replayed.source)
    shape = shape_of(read)
    drifting = drift.begin(desk, replayed, version, read)
    guard = guard_of(replayed.contract, drifting.known.look) if drifting.known is not None else None
    plan = plan_of(desk, replayed, guard)
    books = RunBooks(
        desk.store, number, pipeline_id, plan, read_by(plan, shape, drifting, guard), now=desk.now,
        columns=[f.name for f in shape.fields],
    )  # fmt: skip
    try:
        run(_placed(shape, rejects, progress), books, progress=progress, limits=limits_of(desk, replayed))
        with desk.store.transaction() as cursor:
            quarantine.close(cursor, [r.id for r in rejects], "replayed", number)
    except BaseException:
        # Its rows are still in quarantine, so what it kept goes. A worker that closes leaves that to the next.
        if not desk.closing.is_set():
            runs.undo(desk.store, number, desk.now())
        raise
    finally:
        books.close()
    return []


def _placed(shape: Shape, rejects: list[Reject], progress: Progress) -> Iterator[Placed]:
    groups: dict[tuple[int, int, str, tuple[str, ...]], list[Reject]] = defaultdict(list)
    for reject in rejects:
        groups[reject.run, reject.segment, form_of(shape, reject), reject.columns].append(reject)
    for i, ((_, segment, form, _), group) in enumerate(sorted(groups.items())):
        chunks = chunks_of(shape, form, group)
        while True:
            with progress.timed("read"):
                chunk = next(chunks, None)
            if chunk is None:
                break
            yield Placed(segment, i, chunk)


def form_of(shape: Shape, reject: Reject) -> str:
    """How a reject's bytes are written, `csv` or `lines`; what never became a row is written as its source is."""
    if reject.form != "unreadable":
        return reject.form
    return "csv" if shape.format == "csv" else "lines"


def chunks_of(
    shape: Shape, form: str, rejects: Sequence[Reject], lines: Sequence[int] | None = None
) -> Iterator[Chunk]:
    """The rejects' bytes, repaired where they were, as chunks whose rows keep their line numbers, or get these."""
    numbers = [r.line for r in rejects] if lines is None else list(lines)
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for at, reject in enumerate(rejects):
        groups[reject.columns].append(at)
    for columns, among in groups.items():
        yield from _of_columns(shape, form, [rejects[n] for n in among], [numbers[n] for n in among], columns)


def _of_columns(
    shape: Shape, form: str, rejects: Sequence[Reject], lines: Sequence[int], columns: tuple[str, ...]
) -> Iterator[Chunk]:
    """The same for rejects of payloads with one header: the source's usual columns where none are given."""
    name = "csv" if form == "csv" else "ndjson"
    pieces = [r.raw if r.fixed is None else r.fixed for r in rejects]
    if form != "csv":
        pieces = [b" ".join(p.split(b"\n")) for p in pieces]
    pieces = [p.rstrip(b"\r\n") for p in pieces]
    starts = np.cumsum([1, *(p.count(b"\n") + 1 for p in pieces[:-1])])
    origin = np.array(lines, np.int64)
    stream = io.BytesIO(b"\n".join(pieces) + b"\n")
    for chunk in (c.proven for c in FORMATS[name].read(stream, _as_written(shape, name, columns))):
        at = chunk.lines if chunk.lines is not None else np.arange(chunk.rows) + chunk.first_line
        faults = [Fault(int(_origin(starts, origin, f.line)), f.raw, f.reason) for f in chunk.faults]
        yield replace(chunk, lines=_origin(starts, origin, at), faults=tuple(faults))


def _origin(starts: np.ndarray, origin: np.ndarray, lines: np.ndarray | int) -> np.ndarray:
    return origin[np.searchsorted(starts, lines, "right") - 1]


def _as_written(shape: Shape, name: str, columns: tuple[str, ...] = ()) -> Shape:
    """The shape of rows that stand alone: no header, nothing to skip, nothing compressed."""
    dialect = None
    if name == "csv":
        found = shape.dialect or Dialect(columns=tuple(f.name for f in shape.fields))
        dialect = found.model_copy(
            update={"header": False, "skip_lines": 0, "comment": "", "encoding": "utf-8"}
            if shape.dialect is None
            else {"header": False, "skip_lines": 0, "comment": ""}
        )
        dialect = dialect.model_copy(update={"columns": columns}) if columns else dialect
    return Shape(format=name, fields=shape.fields, dialect=dialect)
