"""Rows taken at their word: a chunk that is proven only where the database stumbles gives what a proven one gives."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from duckdb import DuckDBPyConnection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.formats import reader
from engine import types
from engine.compile import Plan, compile_plan
from engine.model import Mapping, Shape, SourceField, TargetField, TargetModel
from engine.ports import Chunk, Fault
from storage import staging
from storage.store import Store

KEY = bytes(range(32))
FIELDS = {
    f.name: f
    for f in (
        SourceField(name="a", path=("a",)),
        SourceField(name="Name", path=("Name",)),
        SourceField(name="b", path=("b",)),
        SourceField(name="b.x", path=("b", "x")),
        SourceField(name="_raw"),
    )
}
THING = TargetModel(
    name="thing",
    key=("one",),
    fields=(TargetField(name="one", required=True), TargetField(name="two"), TargetField(name="three")),
)


def plan(*sources: str) -> Plan:
    """The given source fields, in order, onto the target's; a constant where there are none."""
    fields: list[dict[str, Any]] = [
        {"field": name, "from": source}
        for name, source in zip(("one", "two", "three"), sources, strict=False)
    ]
    mapping = Mapping(target="thing", fields=fields or [{"field": "one", "constant": "x"}])
    return compile_plan([mapping], {"thing": THING})


PLANS = {
    "one flat field": plan("a"),
    "flat fields": plan("a", "Name", "b"),
    "nested fields": plan("a", "b.x", "b"),
    "the whole object": plan("_raw", "a"),
    "no field": plan(),
}

GOOD = (
    b'{"a":"x"}',
    b'{"a":1.50,"b":{"x":1234567890123456789012345.000100}}',
    b'{"Name":"N","name":"n"}',
    b'{"b":"text","a":null}',
    b'{"b":[1,{"x":2}]}',
    b'{"a":{"x" : 1.0, "y":[ ]}}',
    b'{"b":{"X":1,"x":"\\u00e9\\/"}}',
    b"{}",
)
ODD = (
    b"", b"  ", b"5", b'"s"', b"[1]", b"null", b"{", b"}", b"{'a':1}",
    b'{"a":1,"a":2}', b'{"b":{"x":1,"x":2}}', b'{"A":1,"a":2}', b'{"B":{"x":1},"b":{"X":3}}',
    b'{"a":1,}', b'{"a":[1,]}', b'{"a":NaN}', b'{"a":-Infinity}', b'{"a":01}', b'{"a":1e999}', b'{"a":-0.0}',
    b'{"a":1}{"a":2}', b'{"a":1} {"a":2}', b'{"a":1},', b'{"a":1} x', b'{"a":1}}', b'{"a":', b'"z":3}',
    b'{"a":"\xff"}', b'{"z":"\xff"}', b'{"a":"\\ud800"}', b'{"a":"\xed\xa0\x80"}', b'{"a":"\x00"}',
    b'{"a":1}\x00', b'{"a":"\\u0000"}', b'{"a":"\t"}', b'{"a":1}\r', b'{"a":\r1}', b' {"a":1}',
    b'{"a":' + b"[" * 150 + b"]" * 150 + b"}", b'{"a":' + b"[" * 250 + b"]" * 250 + b"}",
)  # fmt: skip


@st.composite
def spoiled(draw: st.DrawFn) -> bytes:
    """A good object with one byte too many, too few, or of another kind."""
    text = draw(st.sampled_from(GOOD))
    at, more = draw(st.integers(0, len(text) - 1)), draw(st.integers(0, 1))
    return (
        text[:at]
        + draw(st.sampled_from((b"", b"{", b"}", b'"', b",", b":", b"\\", b"\xff", b"0")))
        + text[at + more :]
    )


OBJECTS = st.one_of(st.sampled_from(GOOD), st.sampled_from(GOOD), st.sampled_from(ODD), spoiled())


@pytest.fixture(scope="module")
def cursor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBPyConnection]:
    store = Store.open(tmp_path_factory.mktemp("trust"), KEY, functions=types.register)
    yield store.cursor()
    store.close()


Found = tuple[list[tuple[Any, ...]], list[tuple[int, bytes]], list[Fault]]


def staged(cursor: DuckDBPyConnection, plan: Plan, chunks: Sequence[Chunk]) -> Found:
    """Every row with its line, the line and bytes of those on their way to quarantine, and the faults."""
    rows: list[tuple[Any, ...]] = []
    blocked: list[tuple[int, bytes]] = []
    faults: list[Fault] = []
    for chunk in chunks:
        done = staging.stage(cursor, plan, FIELDS, chunk, "trust")
        for branch in done.branches:
            columns = ", ".join(branch.column(f.name) for f in THING.fields)
            line = done.line("t." + branch.ordinal)
            rows += cursor.execute(
                f"SELECT {line} AS line, {columns}, _mask FROM {branch.table} t ORDER BY line"
            ).fetchall()
            bad = staging.ordinals(cursor, branch, branch.blocked)[0]
            blocked += zip(done.lines(bad).tolist(), done.chunk.raw(bad.tolist()), strict=True)
        faults += done.chunk.faults
        staging.discard(cursor, done)
    return rows, blocked, faults


def same(cursor: DuckDBPyConnection, plan: Plan, data: bytes, shape: Shape, size: int) -> None:
    taken = staged(cursor, plan, list(reader(shape).read(io.BytesIO(data), shape, size)))
    proven = staged(cursor, plan, [c.proven for c in reader(shape).read(io.BytesIO(data), shape, size)])
    assert taken == proven


@pytest.mark.parametrize("name", PLANS)
@given(
    lines=st.lists(OBJECTS, max_size=6),
    end=st.sampled_from((b"", b"\n", b"\r\n")),
    size=st.sampled_from((64, 1 << 20)),
)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_lines_taken_at_their_word_give_what_proven_ones_give(
    cursor: DuckDBPyConnection, name: str, lines: list[bytes], end: bytes, size: int
) -> None:
    same(cursor, PLANS[name], b"\n".join(lines) + end, Shape(format="ndjson"), size)


@pytest.mark.parametrize("name", PLANS)
@given(
    items=st.lists(OBJECTS, max_size=6),
    gap=st.sampled_from((b",", b",\r\n ")),
    size=st.sampled_from((64, 1 << 20)),
)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_elements_taken_at_their_word_give_what_proven_ones_give(
    cursor: DuckDBPyConnection, name: str, items: list[bytes], gap: bytes, size: int
) -> None:
    shape = Shape(format="json", options={"record_path": []})
    same(cursor, PLANS[name], b"[" + gap.join(items) + b"]", shape, size)


@pytest.mark.parametrize("name", PLANS)
def test_every_odd_line_gives_the_same_alone_and_between_good_ones(
    cursor: DuckDBPyConnection, name: str
) -> None:
    for odd in ODD:
        for lines in ([odd], [GOOD[0], odd, GOOD[1]]):
            same(cursor, PLANS[name], b"\n".join(lines), Shape(format="ndjson"), 1 << 20)


def test_a_field_and_what_stands_in_it_may_both_be_read_whatever_it_holds(cursor: DuckDBPyConnection) -> None:
    data = b'{"a":"k","b":{"x":1.5}}\n{"a":"l","b":"text"}\n{"a":"m","b":"{\\"x\\":2}"}\n{"a":"n","b":null}\n'
    chunks = list(reader(Shape(format="ndjson")).read(io.BytesIO(data), Shape(format="ndjson")))
    rows, _, _ = staged(cursor, PLANS["nested fields"], chunks)
    assert [row[1:4] for row in rows] == [
        ("k", "1.5", '{"x":1.5}'), ("l", None, "text"), ("m", None, '{"x":2}'), ("n", None, None),
    ]  # fmt: skip
