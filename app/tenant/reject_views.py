"""How rejects and their causes are shown: bytes as text, fields where they can be read, fixes that were tried."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

from app.tenant import loading, proposing, repairing
from app.tenant.desk import Desk, pipeline, source, targets
from app.tenant.pointing import place_of
from app.tenant.replaying import form_of
from app.tenant.schemas.rejects import CauseView, RejectView
from app.tenant.tracing import segment_of, shown
from engine.errors import Stop
from engine.model import Pipeline, Shape
from storage import definitions, quarantine, runs
from storage.definitions import NotFound
from storage.quarantine import Cause, Reject

EXAMPLES = 3
# Fixes are computed for the largest causes; the others wait until they are among them.
PROPOSED = 20


def causes(desk: Desk, *, run: int | None, pipeline: str | None, propose: bool) -> list[CauseView]:
    """Open rejects by cause, the largest first, each with why, examples, and fixes that were tried."""
    found = quarantine.causes(desk.store.cursor(), run=run, pipeline=pipeline)
    standing = cache(partial(_standing, desk))
    return [
        _cause(desk, each, run, pipeline, standing, propose=propose and place < PROPOSED)
        for place, each in enumerate(found)
    ]


def views(desk: Desk, rejects: Sequence[Reject]) -> list[RejectView]:
    """Rejects as they are shown, their fields read where they can be and what failed marked."""
    shapes: dict[str, Shape | None] = {}
    made: dict[str, Pipeline | None] = {}
    values: dict[int, repairing.Values] = {}
    for id, group in by_pipeline(rejects).items():
        try:
            made[id], shapes[id] = pipeline(desk, id), shape_of(desk, id)
            values |= repairing.values_of(desk, shape_of(desk, id), group)
        except Stop:
            # A deleted pipeline's rejects are still to be seen.
            made[id], shapes[id] = None, None
    names = _payloads(desk, rejects)
    cursor = desk.store.cursor()
    version = {number: runs.get(cursor, number).version for number in {r.run for r in rejects}}
    closed = [reject.id for reject in rejects if reject.state == "dismissed"]
    told = quarantine.dismissals(cursor, closed) if closed else {}
    return [
        _view(r, shapes[r.pipeline], values.get(r.id, {}), names[r.run, r.segment]).model_copy(
            update={
                "dismissed": told.get(r.id),
                "mark": _mark(r, made[r.pipeline], shapes[r.pipeline]),
                "version": version[r.run],
            }
        )
        for r in rejects
    ]


def as_rows(desk: Desk, rejects: Sequence[Reject]) -> list[dict[str, Any]]:
    """Rejects as rows of a file, by column, with the bytes themselves beside their text."""
    shapes: dict[str, Shape | None] = {}
    for id in by_pipeline(rejects):
        try:
            shapes[id] = shape_of(desk, id)
        except Stop:
            shapes[id] = None
    names = _payloads(desk, rejects)
    return [_row(reject, encoding_of(reject, shapes[reject.pipeline]), names) for reject in rejects]


def _row(reject: Reject, encoding: str, names: dict[tuple[int, int], str]) -> dict[str, Any]:
    raw, exact = decoded(reject.raw, encoding)
    return {
        "id": reject.id, "cause": reject.reason, "field": reject.field, "rule": reject.rule,
        "all_causes": "; ".join(dict.fromkeys(check["message"] for check in reject.checks)),
        "file": names[reject.run, reject.segment], "line": reject.line, "raw": raw,
        "repaired": None if reject.fixed is None else decoded(reject.fixed, encoding)[0],
        "state": reject.state, "at": reject.at, "run": reject.run, "pipeline": reject.pipeline,
        "mapping": reject.mapping, "form": reject.form, "exact": exact, "bytes": reject.raw,
    }  # fmt: skip


def _payloads(desk: Desk, rejects: Sequence[Reject]) -> dict[tuple[int, int], str]:
    """The names of the payloads that rejects came in, by run and segment."""
    names: dict[tuple[int, int], str] = {}
    for reject in rejects:
        place = (reject.run, reject.segment)
        if place not in names:
            segment = segment_of(desk, *place)
            names[place] = segment.name if segment else ""
    return names


def _mark(reject: Reject, made: Pipeline | None, shape: Shape | None) -> tuple[int, int] | None:
    if made is None or shape is None or reject.form == "unreadable":
        return None
    how = proposing.field_mapping(proposing.mapping_for(made, reject), reject.field)
    if how is None or how.source is None:
        return None
    text, _ = decoded(reject.raw, encoding_of(reject, shape))
    return place_of(text, shape, reject.form, how.source, reject.columns)


def encoding_of(reject: Reject, shape: Shape | None) -> str:
    """What a reject's bytes are written in."""
    if shape is not None and shape.dialect is not None and form_of(shape, reject) == "csv":
        return shape.dialect.encoding
    return "utf-8"


def _view(reject: Reject, shape: Shape | None, values: repairing.Values, payload: str) -> RejectView:
    encoding = encoding_of(reject, shape)
    raw, exact = decoded(reject.raw, encoding)
    return RejectView(
        **{name: getattr(reject, name) for name in RejectView.model_fields if hasattr(reject, name)}
        | {
            "raw": raw,
            "exact": exact,
            "fixed": decoded(reject.fixed, encoding)[0] if reject.fixed is not None else None,
            "fields": values,
            "payload": payload,
        }
    )


def decoded(raw: bytes, encoding: str) -> tuple[str, bool]:
    """Bytes as text, and whether that text is exactly them."""
    try:
        return raw.decode(encoding).rstrip("\r\n"), True
    except UnicodeDecodeError:
        return shown(raw).rstrip("\r\n"), False


def _cause(
    desk: Desk,
    cause: Cause,
    run: int | None,
    pipeline_id: str | None,
    standing: Callable[[str], tuple[int, ...]],
    *,
    propose: bool,
) -> CauseView:
    alike = quarantine.select(
        desk.store.cursor(), run=run, pipeline=pipeline_id, rule=cause.rule, field=cause.field,
        reason=cause.reason, limit=proposing.TRIED,
    )  # fmt: skip
    alike = [reject for reject in alike if reject.field == cause.field]
    marks = tuple((reject.id, reject.fixed) for reject in alike)
    owner = alike[0].pipeline if alike else ""
    key = ("cause", cause, run, pipeline_id, propose, standing(owner), marks)
    return desk.answers.once(key, lambda: _looked_at(desk, cause, alike, propose))


def _standing(desk: Desk, owner: str) -> tuple[int, ...]:
    """By what numbers of versions one sees that fixes for a pipeline's rejects are to be looked for anew."""
    with desk.store.cursor() as cursor:
        found = [definitions.revision(cursor, "target"), definitions.revision(cursor, "pipeline", id=owner)]
        try:
            read = str(definitions.get(cursor, "pipeline", owner).body["source"])
        except NotFound:
            return tuple(found)
        return (*found, definitions.revision(cursor, "source", id=read))


def _looked_at(desk: Desk, cause: Cause, alike: Sequence[Reject], propose: bool) -> CauseView:
    view = CauseView(
        rule=cause.rule,
        field=cause.field,
        reason=cause.reason,
        explanation=proposing.explanation(cause.rule, cause.field, cause.reason),
        rows=cause.rows,
        first=cause.first,
        runs=list(cause.runs),
        examples=views(desk, alike[:EXAMPLES]),
    )
    try:
        owner = pipeline(desk, alike[0].pipeline)
        shape = shape_of(desk, owner.id)
    except (NotFound, IndexError):
        return view
    mapping = proposing.mapping_for(owner, alike[0])
    how = proposing.field_mapping(mapping, cause.field)
    view.source_field = how.source if how else None
    if propose:
        model = targets(desk).get(mapping.target) if mapping else None
        same = [reject for reject in alike if reject.pipeline == owner.id]
        view.proposals = proposing.proposals(desk, owner, shape, model, same)
    return view


def shape_of(desk: Desk, pipeline_id: str) -> Shape:
    """How a pipeline's source is read."""
    return loading.shape_of(source(desk, pipeline(desk, pipeline_id).source))


def by_pipeline(rejects: Sequence[Reject]) -> dict[str, list[Reject]]:
    """Rejects by the pipeline that made them."""
    groups: dict[str, list[Reject]] = defaultdict(list)
    for reject in rejects:
        groups[reject.pipeline].append(reject)
    return dict(groups)
