"""Reading a source for a person: what it is, its first rows, and what its columns hold. Nothing is kept."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from duckdb import DuckDBPyConnection

from app.tenant.desk import Desk, arriving
from app.tenant.loading import shape_of
from app.tenant.schemas.sources import FaultView, PreviewedRow, SourcePreview, SourceProfile
from app.tenant.tracing import shown
from connectors.formats import CHUNK_BYTES, FORMATS, reader, refit, sniff
from engine.errors import Stop
from engine.model import Dialect, Shape, Source
from engine.ports import Segment
from engine.profile import Profile, profile
from engine.sample import sample
from engine.scan import RAW
from storage import definitions, glance, texts
from storage.glance import TextRow
from storage.texts import Texts

FAULTS_SHOWN = 100
# Enough for a profile to be right about a column; a whole file's profile is asked for by name.
SAMPLE_ROWS = 200_000
ALL = 1 << 62
# Rows are looked at among so many, however large the source is: that keeps a preview under a second.
AMONG = 4_000
LITTLE = 1 << 18
_REMEMBERED = 256


class NothingThere(Stop):
    """This source has nothing to read yet."""


class NotThisFormat(Stop):
    """The payload can't be read as this format."""


def payload_of(desk: Desk, source: Source, *, fresh: bool = False) -> Segment:
    """The sealed payload a source is looked at by: its upload, or the first thing its connector gives.

    A connector is asked once; with `fresh` it is asked again.
    """
    if source.connector == "upload":
        return desk.landing.segment(source.config["upload"], source.config.get("number", 1))
    place = f"look-{source.id}"
    there = desk.landing.segments(place)
    if there and not fresh:
        return there[-1]
    # A payload's stream is good only as long as the iterator that gave it, which the loop holds.
    for payload in arriving(desk, source, None):
        # Beside the older looks, so that whatever happens meanwhile there is one.
        return desk.landing.seal(payload, place, there[-1].number + 1 if there else 1)
    raise NothingThere(source.name, action="Check its folder or address, then look again.")


def find_shape(desk: Desk, segment: Segment, format: str | None = None) -> Shape:
    """The shape of a payload, found out or of the format a person named."""
    if format is not None and format not in FORMATS:
        raise NotThisFormat(format, action=f"Formats are {', '.join(FORMATS)}.")
    with desk.landing.open(segment) as stream:
        return sniff(stream, segment.name, format or "")


def change_shape(
    desk: Desk, segment: Segment, shape: Shape, dialect: Dialect | None, options: dict[str, object] | None
) -> Shape:
    """The shape after a person changed its dialect or options; its fields follow."""
    changed = shape.model_copy(
        update={
            "dialect": dialect if dialect is not None else shape.dialect,
            "options": {**shape.options, **options} if options is not None else shape.options,
        }
    )
    with desk.landing.open(segment) as stream:
        return refit(stream, changed)


@contextmanager
def held(
    desk: Desk, source: Source, most: int, *, raw: bool = False
) -> Iterator[tuple[DuckDBPyConnection, Texts, Shape]]:
    """A source's rows as text in memory while the block lasts, up to about `most` of them."""
    shape = shape_of(source)
    segment = payload_of(desk, source)
    with desk.store.cursor() as cursor, desk.landing.open(segment) as stream:
        # A preview reads a little; a profile reads much, and large pieces are quicker.
        chunks = reader(shape).read(stream, shape, LITTLE if most <= AMONG else CHUNK_BYTES)
        table = texts.hold(cursor, f"look_{secrets.token_hex(6)}", shape.fields, chunks, most=most, raw=raw)
        try:
            yield cursor, table, shape
        finally:
            glance.let_go(cursor, table)


def preview(desk: Desk, source: Source, limit: int) -> SourcePreview:
    """The first rows of a source, its faults, and how the lines add up."""
    with held(desk, source, limit) as (cursor, table, shape):
        return _shown(table, shape, glance.rows(cursor, table, range(min(limit, table.rows))))


def sampled(desk: Desk, source: Source, limit: int) -> SourcePreview:
    """Rows worth seeing first: rare values, the longest, the empty, and likely rejects among them."""
    with held(desk, source, AMONG) as (cursor, table, shape):
        return _shown(
            table, shape, glance.rows(cursor, table, chosen(cursor, table, limit, named(desk, source)))
        )


def _shown(table: Texts, shape: Shape, rows: list[TextRow]) -> SourcePreview:
    faults = [FaultView(line=f.line, raw=shown(f.raw), reason=f.reason) for f in table.faults[:FAULTS_SHOWN]]
    whole = table.complete and table.rows == len(rows)
    return SourcePreview(
        fields=[f.name for f in shape.fields],
        rows=[PreviewedRow(line=row.line, values=row.values) for row in rows],
        faults=faults,
        read=table.read,
        parsed=table.rows,
        rejected=table.read - table.rows,
        whole=whole,
        extent=extent(len(rows), whole, table.complete, table.rows),
        first_lines=list(shape.dialect.first_lines) if shape.dialect else [],
        notes=list(shape.notes),
    )


def profiled(desk: Desk, source: Source, most: int = SAMPLE_ROWS) -> SourceProfile:
    """What the columns of a source hold, on up to about `most` of its rows."""
    with held(desk, source, most) as (cursor, table, _):
        found: Profile = profile(
            cursor, table.table, [f.name for f in table.fields if f.name != RAW], ordinal="rowid"
        )
    said = extent(table.rows, table.complete, table.complete, table.rows)
    return SourceProfile(profile=found, whole=table.complete, extent=said)


def chosen(cursor: DuckDBPyConnection, table: Texts, rows: int, of: str) -> list[int]:
    """Rows worth seeing among the held ones, in their order: strange ones before common ones.

    `of` names what is held (see `named`): the same rows are chosen for it every time, and the choice
    is remembered, so that a preview after each change of a mapping costs the mapping alone.
    """
    if table.rows <= rows:
        return list(range(table.rows))
    remembered = (of, table.rows, rows)
    if remembered not in _choices:
        names = [f.name for f in table.fields if f.name != RAW]
        found = sample(cursor, table.table, names, limit=rows, ordinal="rowid").ordinals
        while len(_choices) >= _REMEMBERED:
            _choices.pop(next(iter(_choices)), None)
        _choices[remembered] = found
    return list(_choices[remembered])


_choices: dict[tuple[str, int, int], tuple[int, ...]] = {}


def named(desk: Desk, source: Source) -> str:
    """What a source is read as now: its payload's content, and how it is read."""
    shape = definitions.address(shape_of(source).model_dump(mode="json"))
    return f"{desk.tenant}/{payload_of(desk, source).sha256}/{shape}"


def extent(shown_rows: int, whole: bool, counted: bool = True, rows: int = 0) -> str:
    """Of how many rows something speaks: "all 120 rows", "sample of 200 of 5,000 rows", "sample of 200 rows"."""
    if whole:
        return f"all {shown_rows:,} rows"
    return f"sample of {shown_rows:,} of {rows:,} rows" if counted else f"sample of {shown_rows:,} rows"
