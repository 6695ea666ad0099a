"""Numbers of JSON arrive as they are written, in every place, and no text is touched for it."""

from __future__ import annotations

import io
import json
import os
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.formats import reader
from connectors.formats.numerals import marked
from engine import scan
from engine.model import Shape, SourceField
from tests.connectors.reading import duck

FIELDS = ("a", "b", "c.d", "e")
_ENGINE = duckdb.connect(config={"threads": 1})


def arrived(data: bytes, shape: Shape, *, size: int = 1 << 24) -> list[dict[str, Any]]:
    """The rows by field, and whole, as a run reads them: taken at their word first, proven where that fails."""
    deep = [SourceField(name=name, path=tuple(name.split("."))) for name in FIELDS]
    flat = [field for field in deep if len(field.path or ()) == 1]
    found: list[dict[str, Any]] = []
    for chunk in reader(shape).read(io.BytesIO(data), shape, size):
        taken = chunk if _holds(chunk) else chunk.proven
        rows = _rows(taken, [*deep, SourceField(name=scan.RAW)])
        # The quick way, of fields that stand in the object itself, must tell the same.
        for one, other in zip(_rows(taken, flat), rows, strict=True):
            assert one == {name: other[name] for name in one}
        found += rows
    return found


def _holds(chunk: Any) -> bool:
    try:
        return len(duck(chunk)) == chunk.rows
    except duckdb.Error:
        return False


def _rows(chunk: Any, fields: list[SourceField]) -> list[dict[str, Any]]:
    handle = os.memfd_create("chunk")
    try:
        os.write(handle, bytes(chunk.data))
        with _ENGINE.cursor() as cursor:
            cursor.execute(scan.source(chunk, f"/proc/self/fd/{handle}", fields))
            return [dict(zip([f.name for f in fields], row, strict=True)) for row in cursor.fetchall()]
    finally:
        os.close(handle)


NDJSON, LISTED = Shape(format="ndjson"), Shape(format="json", options={"record_path": []})

digits = st.text("0123456789", min_size=1, max_size=24)
whole = st.one_of(st.just("0"), st.from_regex(r"[1-9][0-9]{0,24}", fullmatch=True))
fraction = st.one_of(st.just(""), digits.map(lambda d: "." + d))
power = st.one_of(st.just(""), st.from_regex(r"[eE][+-]?[0-9]{1,3}", fullmatch=True))
numbers = st.builds(
    lambda sign, *parts: sign + "".join(parts), st.sampled_from(["", "-"]), whole, fraction, power
).filter(lambda number: "." in number or (not {"e", "E"} & set(number) and number != "-0"))
# Texts that look like numbers in their places, with quotes and backslashes to lose count by.
texts = st.lists(
    st.one_of(numbers, st.sampled_from([": ", ", ", "[", "]", "}", '\\"', "\\\\", "\\n", "\\ufdd0", " ", "x", "é"])), max_size=6
).map(lambda parts: '"' + "".join(parts) + '"')  # fmt: skip
values = st.one_of(numbers, texts, st.just("null"))
blank = st.sampled_from(["", " ", "\t", "  "])


@st.composite
def rows(draw: Any) -> tuple[str, dict[str, str | None]]:
    """A line, and what shall arrive of it."""

    def around(value: str) -> str:
        return f"{draw(blank)}{value}{draw(blank)}"

    a, d, e = draw(values), draw(values), draw(values)
    listed = draw(st.lists(values, max_size=3))
    line = (
        f'{{"a":{around(a)},"b":[{",".join(map(around, listed))}],"c":{{"d":{around(d)}}},"e":{around(e)}}}'
    )
    return line, {"a": written(a), "c.d": written(d), "e": written(e), scan.RAW: line}


def written(value: str) -> str | None:
    """What shall arrive of a value: a text without its quotes and escapes, a number as it stands."""
    loaded = json.loads(value, parse_int=str, parse_float=str)
    return None if loaded is None else str(loaded)


@settings(max_examples=120, deadline=None)
@given(st.lists(rows(), min_size=1, max_size=4))
def test_every_number_arrives_as_it_is_written_and_every_text_as_it_was(
    made: list[tuple[str, dict[str, str | None]]],
) -> None:
    lines = [line for line, _ in made]
    for data, shape in (("\n".join(lines), NDJSON), ("[" + ",\n".join(lines) + "]", LISTED)):
        for found, (_, wanted) in zip(arrived(data.encode(), shape), made, strict=True):
            assert {name: found[name] for name in wanted} == wanted


@settings(max_examples=200, deadline=None)
@given(rows(), st.data())
def test_what_was_no_json_does_not_become_it_nor_the_other_way_round(
    made: tuple[str, Any], data: st.DataObject
) -> None:
    spoilt = list(made[0])
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(spoilt) - 1))
        spoilt[at : at + data.draw(st.integers(0, 2))] = data.draw(st.sampled_from([*'",:[]{} 0.e-\\', ""]))
    text = "".join(spoilt)
    passed, mark, longest = marked(text.encode(), len(text.encode()))
    valid = "SELECT json_valid($1)"
    assert (
        _ENGINE.execute(valid, [text]).fetchone()
        == _ENGINE.execute(valid, [bytes(passed).decode()]).fetchone()
    )
    assert len(passed) <= longest
    if not mark:
        assert bytes(passed) == text.encode()


@pytest.mark.parametrize("size", [200, 1 << 20])
def test_a_broken_line_changes_nothing_about_the_others(size: int) -> None:
    good = '{"a":1.50,"b":[2.50],"c":{"d":"x: 1.50, y"},"e":100000000000000000000.10}'
    data = "\n".join([good, '{"a":"never closed: 1.50, }', good, '{"a":01.50}', '{1.50 :"a"}', good])
    found = arrived(data.encode(), NDJSON, size=size)
    row = {"a": "1.50", "b": "[2.50]", "c.d": "x: 1.50, y", "e": "100000000000000000000.10", scan.RAW: good}
    assert found == [row] * 3


def test_data_without_such_numbers_is_passed_on_as_it_is() -> None:
    data = b'{"at":"2026-01-01T00:00:00.000Z","ip":"192.0.2.1","n":12.5,"m":0.25,"z":1.0,"sha":"3e7a1e5","v":"1.50, 2"}\n'
    assert marked(data, len(data)) == (data, "", len(data))
    assert marked(data, len(data))[0] is data


def test_where_every_mark_stands_in_the_data_it_stays_as_it_is() -> None:
    data = ('{"a":"' + "".join(map(chr, range(0xFDD0, 0xFDF0))) + '","b":1.50}').encode()
    assert marked(data, len(data)) == (data, "", len(data))


@pytest.mark.parametrize("text", ["1.50", "12.50\n", "-1.50", "1.50e", "1.", ".5", "", '{"a":1.50', "00.10,"])
def test_numbers_at_the_very_ends_do_no_harm(text: str) -> None:
    passed, mark, _ = marked(text.encode(), len(text))
    bare = bytes(passed).decode()
    assert (bare.replace(f'"{mark}', "").replace(f'{mark}"', "") if mark else bare) == text
