"""Reading a source for a person: what it is, its first rows, and what its columns hold. Nothing is kept."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from duckdb import DuckDBPyConnection

from app.tenant.credential_use import arriving
from app.tenant.desk import Desk, received
from app.tenant.lines import Passed, account
from app.tenant.loading import shape_of
from app.tenant.schemas.sources import (
    FaultView,
    KindCount,
    LineAccount,
    PartView,
    PlaceView,
    PreviewedRow,
    RowQuery,
    SourceOutline,
    SourcePreview,
    SourceProfile,
    SourceRows,
)
from app.tenant.tracing import shown
from connectors import hint_of
from connectors.formats import CHUNK_BYTES, FORMATS, reader, refit, sniff
from connectors.formats.outline import of_members, outline
from engine.compile import Plan
from engine.errors import Stop
from engine.model import Dialect, Shape, Source, SourceField
from engine.ports import Chunk, Segment
from engine.profile import Profile, profile
from engine.profile.picks import condition
from engine.sample import sample
from engine.scan import EXTRA, RAW, literal
from engine.targets import stix_mappings
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


class NoSuchField(Stop):
    """This source has no such field."""


class NotThisFormat(Stop):
    """The payload can't be read as this format."""


def payload_of(desk: Desk, source: Source, *, fresh: bool = False, by: str = "a first look") -> Segment:
    """The sealed payload a source is looked at by: its upload, or the first thing its connector gives.

    A connector is asked once; with `fresh` it is asked again, on behalf of `by`.
    """
    if source.connector == "upload":
        return desk.landing.segment(source.config["upload"], source.config.get("number", 1))
    place = f"look-{source.id}"
    there = desk.landing.segments(place)
    if there and not fresh:
        return there[-1]
    # A payload's stream is good only as long as the iterator that gave it, which the loop holds.
    for payload in arriving(desk, source, None, by=by):
        # Beside the older looks, so that whatever happens meanwhile there is one.
        return desk.landing.seal(payload, place, there[-1].number + 1 if there else 1)
    raise NothingThere(source.name, action="Check its folder or address, then look again.")


def find_shape(desk: Desk, segment: Segment, format: str | None = None, read: Source | None = None) -> Shape:
    """The shape of a source's payload, found out or of the format a person named.

    Where the source's configuration says where the records stand, they stand there.
    """
    if format is not None and format not in FORMATS:
        raise NotThisFormat(format, action=f"Formats are {', '.join(FORMATS)}.")
    with desk.landing.open(segment) as stream:
        shape = sniff(stream, segment.name, format or "")
    hint = hint_of(read) if read is not None and shape.format == "json" else {}
    return change_shape(desk, segment, shape, None, hint) if hint else shape


def change_shape(
    desk: Desk, segment: Segment, shape: Shape, dialect: Dialect | None, options: dict[str, object] | None
) -> Shape:
    """The shape after a person changed its dialect or options; its fields follow."""
    options = dict(options or {})
    before = dict(shape.options)
    if "members" in options and options["members"] != before.get("members"):
        with desk.landing.open(segment) as stream:
            return of_members(stream, list(options["members"]))  # type: ignore[call-overload]
    if "header_row" in options:
        options["header_of"] = options.get("sheet", before.get("sheet"))
    if "types" in options:
        return _only_types(shape, list(options["types"] or ()))  # type: ignore[call-overload]
    changed = shape.model_copy(
        update={
            "dialect": dialect if dialect is not None else shape.dialect,
            "options": {**before, **options},
        }
    )
    with desk.landing.open(segment) as stream:
        return refit(stream, changed)


def _only_types(shape: Shape, types: list[str]) -> Shape:
    """A STIX shape that reads objects of these types; the others count as left out on purpose. None: all."""
    if shape.format != "stix":
        raise NotThisFormat("Types are chosen of STIX objects.", action="Leave `types` out.")
    mappings = stix_mappings()
    if types:
        among = f"type IN ({', '.join(map(literal, types))})"
        mappings = tuple(
            m.model_copy(update={"where": f"({m.where}) AND {among}" if m.where else among}) for m in mappings
        )
    options = {
        **{k: v for k, v in shape.options.items() if k != "types"},
        **({"types": types} if types else {}),
    }
    return shape.model_copy(update={"options": options, "mappings": mappings})


def alike(one: Shape, other: Shape) -> bool:
    """Whether payloads of two shapes can be read as one source: written the same way, with the same fields."""
    ways = [
        (
            s.format,
            s.compression,
            s.fields,
            s.options,
            s.dialect.model_copy(update={"first_lines": ()}) if s.dialect else None,
        )
        for s in (one, other)
    ]
    return ways[0] == ways[1]


@contextmanager
def held(
    desk: Desk,
    source: Source,
    most: int,
    *,
    raw: bool = False,
    passed: Passed | None = None,
    segments: Sequence[Segment] | None = None,
    besides: Sequence[SourceField] = (),
) -> Iterator[tuple[DuckDBPyConnection, Texts, Shape]]:
    """A source's rows as text in memory while the block lasts, up to about `most` of them.

    They are of these payloads, or else of what the source is looked at by; `besides` are fields to hold
    besides the shape's own.
    """
    shape = shape_of(source)
    if segments is None:
        segments = received(desk, source) if source.connector == "upload" else [payload_of(desk, source)]
    own = {f.name for f in shape.fields}
    fields = (*shape.fields, *(f for f in besides if f.name not in own))
    with desk.store.cursor() as cursor:
        # A preview reads a little; a profile reads much, and large pieces are quicker.
        chunks = _chunks(desk, segments, shape, LITTLE if most <= AMONG else CHUNK_BYTES)
        chunks = passed.watch(chunks) if passed is not None else chunks
        table = texts.hold(cursor, f"look_{secrets.token_hex(6)}", fields, chunks, most=most, raw=raw)
        try:
            yield cursor, table, shape
        finally:
            glance.let_go(cursor, table)


def _chunks(desk: Desk, segments: Sequence[Segment], shape: Shape, size: int) -> Iterator[Chunk]:
    for segment in segments:
        with desk.landing.open(segment) as stream:
            yield from reader(shape).read(stream, shape, size)


def preview(desk: Desk, source: Source, limit: int) -> SourcePreview:
    """The first rows of a source, its faults, and how the lines add up."""
    dialect = shape_of(source).dialect
    passed = Passed(dialect.encoding if dialect else "utf-8")
    with held(desk, source, limit, passed=passed) as (cursor, table, shape):
        found = _shown(table, shape, glance.rows(cursor, table, range(min(limit, table.rows))))
        return found.model_copy(update={"account": _account(desk, source, shape, passed, table.complete)})


def _account(desk: Desk, source: Source, shape: Shape, passed: Passed, whole: bool) -> LineAccount | None:
    if source.config.get("also"):
        return None
    with desk.landing.open(payload_of(desk, source)) as stream:
        return account(stream, shape, passed, whole)


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
    return SourceProfile(
        profile=found, whole=table.complete, extent=said, read=table.read, rejected=table.read - table.rows
    )


def rows(desk: Desk, source: Source, query: RowQuery) -> SourceRows:
    """The rows that stand behind figures of the profile, a page of them."""
    with held(desk, source, ALL if query.whole else SAMPLE_ROWS) as (cursor, table, shape):
        names = [f.name for f in shape.fields]
        unknown = [f.field for f in query.filters if f.field not in names]
        if unknown:
            raise NoSuchField(f"{source.name}: {unknown[0]}.", action="Take one of its fields.")
        asked = list(dict.fromkeys(f.field for f in query.filters))
        known = profile(cursor, table.table, asked, ordinal="rowid") if asked else None
        where = " AND ".join(condition(known.column(f.field), f.by, f.value) for f in query.filters if known)
        found, matched = glance.matching(cursor, table, where or "true", query.offset, query.limit)
        return SourceRows(
            fields=names,
            rows=[PreviewedRow(line=r.line, values=r.values) for r in glance.rows(cursor, table, found)],
            matched=matched,
            looked=table.rows,
            whole=table.complete,
            extent=extent(table.rows, table.complete, table.complete, table.rows),
        )


def outlined(desk: Desk, source: Source) -> SourceOutline:
    """What the source's payload holds to choose from."""
    shape = shape_of(source)
    with desk.landing.open(payload_of(desk, source)) as stream:
        found = outline(stream, shape)
    path = shape.options.get("record_path")
    path = path.split("/" if shape.format == "xml" else ".") if isinstance(path, str) else path
    types, said = _types(desk, source, shape) if shape.format == "stix" else ([], "")
    return SourceOutline(
        sheets=[PartView.model_validate(part) for part in found.sheets],
        first_rows=[list(row) for row in found.first_rows],
        header_row=int(shape.options.get("header_row", 0)),
        places=[
            PlaceView(
                path=None if place.path is None else list(place.path),
                count=place.count,
                fields=list(place.fields),
                chosen=path == (None if place.path is None else list(place.path)),
            )
            for place in found.places
        ],
        members=[PartView.model_validate(part) for part in found.members],
        types=types,
        cut=found.cut,
        extent=said,
    )


def _types(desk: Desk, source: Source, shape: Shape) -> tuple[list[KindCount], str]:
    """The types of a STIX payload's objects with their counts, on up to about as many rows as a profile."""
    chosen = shape.options.get("types")
    with held(desk, source, SAMPLE_ROWS) as (cursor, table, _):
        counts = glance.counted(cursor, table, "type")
        said = extent(table.rows, table.complete, table.complete, table.rows)
    return [KindCount(type=t, count=n, chosen=not chosen or t in chosen) for t, n in counts if t], said


def wanting(source: Source, plan: Plan, besides: Sequence[SourceField] = ()) -> tuple[SourceField, ...]:
    """Fields a plan reads that the source does not have; held as well, they are empty in every row."""
    known = {f.name for f in (*shape_of(source).fields, *besides)} | {RAW, EXTRA}
    names = dict.fromkeys(n for branch in plan.branches for n in branch.fields if n not in known)
    return tuple(SourceField(name=name) for name in names)


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
        return f"all {shown_rows:,} row{'s' if shown_rows != 1 else ''}"
    return f"sample of {shown_rows:,} of {rows:,} rows" if counted else f"sample of {shown_rows:,} rows"
