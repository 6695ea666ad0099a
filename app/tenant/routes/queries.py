"""Queries: a person's own SQL, its history, what is saved for all, and results as files."""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Path
from fastapi.responses import StreamingResponse

from app.problems import Problem
from app.tenant import defining, journal
from app.tenant.caller import Caller, Here, Who
from app.tenant.desk import Desk, targets
from app.tenant.exports import blocks, results
from app.tenant.schemas.queries import (
    AskedQuery,
    Cancelled,
    ColumnInfo,
    Preference,
    QueryRequest,
    QueryResult,
    QueryToSave,
    SavedQuery,
    TableInfo,
)
from app.tenant.values import plain
from engine.errors import Stop
from storage import definitions, glance, personal
from storage import query as querying
from storage.audit import ActionKind
from storage.definitions import Definition
from storage.query import QueryCancelled, QueryTookTooLong

router = APIRouter(tags=["queries"])

Word = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_.-]{0,79}$")]
LARGEST = 10_000


@router.post("/query")
def query(body: QueryRequest, desk: Here, who: Who) -> QueryResult:
    """Run one SELECT over the tenant's records and books. It can't change anything, nor see anything else."""
    journal.note(desk, who, ActionKind.QUERY, "records.queried", after={"sql": body.sql})
    begun = time.perf_counter()
    try:
        table = querying.query(
            desk.store, body.sql, limit=body.limit, seconds=body.timeout, models=targets(desk),
            name=_name(desk, who, body.name),
        )  # fmt: skip
    except Stop as error:
        outcome = {QueryTookTooLong: "stopped", QueryCancelled: "cancelled"}.get(type(error), "refused")
        _remember(desk, who, body, time.perf_counter() - begun, None, outcome)
        raise
    taken = time.perf_counter() - begun
    rows = table.total if table.total is not None else len(table.rows)
    return QueryResult(
        columns=list(table.columns),
        types=list(table.types),
        rows=[[plain(value) for value in row] for row in table.rows],
        truncated=table.more,
        seconds=round(taken, 4),
        total=table.total,
        asked=_remember(desk, who, body, taken, rows, "done"),
    )


@router.delete("/query/{name}")
def cancel(name: str, desk: Here, who: Who) -> Cancelled:
    """Stop a query of one's own that is under way, by the name it was given."""
    return Cancelled(cancelled=querying.cancel(_name(desk, who, name)))


@router.get("/tables")
def tables(desk: Here) -> list[TableInfo]:
    """What a query may read, with columns and types: records by target model, and the books."""
    cursor = desk.store.cursor()
    return [
        TableInfo(
            name=table.name, title=table.title, rows=table.rows,
            columns=[ColumnInfo(name=name, type=kind) for name, kind in table.columns],
        )
        for table in querying.readable(cursor, targets(desk), glance.counts(cursor))
    ]  # fmt: skip


@router.get("/queries/history")
def history(desk: Here, who: Who) -> list[AskedQuery]:
    """What one has asked, newest first, each query once."""
    return [AskedQuery.model_validate(one) for one in personal.history(desk.store.cursor(), who.user)]


@router.delete("/queries/history", status_code=204)
def forget(desk: Here, who: Who) -> None:
    """Empty one's history."""
    with desk.store.transaction() as cursor:
        personal.forget(cursor, who.user)


@router.get("/queries/saved")
def saved(desk: Here) -> list[SavedQuery]:
    """The queries saved in this tenant, by name."""
    found = definitions.all_latest(desk.store.cursor(), "query")
    return sorted((_saved(one) for one in found), key=lambda one: one.name.lower())


@router.post("/queries/saved", status_code=201)
def save(body: QueryToSave, desk: Here, who: Who) -> SavedQuery:
    """Save a query for everybody in the tenant."""
    known = definitions.all_latest(desk.store.cursor(), "query")
    same = next((one.id for one in known if one.body["name"] == body.name), None)
    id = same or defining.unused(desk, "query", defining.slug(body.name, "query"))
    return _saved(defining.save(desk, who, "query", id, body))


@router.delete("/queries/saved/{id}", status_code=204)
def delete(id: str, desk: Here, who: Who) -> None:
    """Delete a saved query. Its versions stay."""
    defining.remove(desk, who, "query", id)


@router.get("/export/query/{asked}", response_class=StreamingResponse)
def export(
    asked: int, desk: Here, who: Who, format: Literal["csv", "parquet", "json"] = "csv", guard: bool = True
) -> StreamingResponse:
    """The whole result of a query of one's history as a file; it is asked anew."""
    found = personal.asked(desk.store.cursor(), who.user, asked)
    schema, batches = querying.arrow(desk.store, found.sql, models=targets(desk))
    journal.note(
        desk, who, ActionKind.EXPORT, "query.exported", str(asked), after={"format": format, "sql": found.sql}
    )
    writer = results.WRITERS[format]
    headers = {"content-disposition": f'attachment; filename="query-{asked}.{writer.suffix}"'}
    if writer.note and guard:
        headers["x-note"] = writer.note
    body = writer.write(schema, batches, guard)
    return StreamingResponse(blocks(body), media_type=writer.media_type, headers=headers)


@router.get("/preferences/{name}")
def preference(name: Word, desk: Here, who: Who) -> Preference:
    """A choice of one's own in this tenant."""
    return Preference(name=name, body=personal.preference(desk.store.cursor(), who.user, name))


@router.put("/preferences/{name}")
def prefer(name: Word, desk: Here, who: Who, body: Annotated[Any, Body()] = None) -> Preference:
    """Keep a choice of one's own; null lets go of it."""
    if len(str(body)) > LARGEST:
        raise Problem(422, "A choice this long is not kept.", where=name, action="Choose less.")
    with desk.store.transaction() as cursor:
        personal.prefer(cursor, who.user, name, body)
    return Preference(name=name, body=body)


def _name(desk: Desk, who: Caller, name: str) -> str:
    return f"{desk.tenant}/{who.user}/{name}" if name else ""


def _remember(
    desk: Desk, who: Caller, body: QueryRequest, seconds: float, rows: int | None, outcome: str
) -> int | None:
    if not body.keep:
        return None
    with desk.store.transaction() as cursor:
        return personal.note_asked(
            cursor, who.user, body.sql, desk.now(), seconds=seconds, rows=rows, outcome=outcome
        )


def _saved(one: Definition) -> SavedQuery:
    return SavedQuery(
        id=one.id,
        name=one.body["name"],
        sql=one.body["sql"],
        author=one.author,
        at=one.at,
        version=one.version,
    )
