"""JSON: every object is a row, everything else between the brackets a fault, whatever the blocks."""

from __future__ import annotations

import gzip
import io
import json
import time
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.formats import sniff
from connectors.formats.outline import outline
from engine.model import Shape
from tests.connectors.reading import objects, read


def listed(path: list[str] | None, **options: Any) -> Shape:
    return Shape(format="json", options={"record_path": path, **options})


def test_broken_lines_of_ndjson_are_faults() -> None:
    data = b'{"a":1}\r\n\n5\n{"a":\n{"a":3} x\n[1]\n{"z":"\xff"}\n  {"z":[1]}'
    found = read(data)
    assert objects(found) == [{"a": 1}, {"z": [1]}]
    assert found.places == [1, 8]
    assert sorted(found.reasons()) == [3, 4, 5, 6, 7]
    assert found.faults[0].raw == b"5"


def test_ndjson_offers_its_keys_in_order_of_appearance_and_one_level_down() -> None:
    shape = sniff(io.BytesIO(b'{"b":1,"a":{"x":1,"y":[2]}}\n{"c":[{"q":1}]}\n'), "x.ndjson")
    assert shape.format == "ndjson"
    assert [(field.name, field.path) for field in shape.fields] == [
        ("b", ("b",)), ("a", ("a",)), ("a.x", ("a", "x")), ("a.y", ("a", "y")), ("c", ("c",)),
    ]  # fmt: skip


@pytest.mark.parametrize("size", [3, 7, 1 << 20])
def test_a_list_is_cut_wherever_blocks_fall(size: int) -> None:
    data = b'[{"a":1}, {"b":"x\\"}{[,"}\n,5, "s,x", [1], {"c":[{"d":1.50}]}]'
    found = read(data, listed([]), size=size)
    assert objects(found) == [{"a": 1}, {"b": 'x"}{[,'}, {"c": [{"d": 1.5}]}]
    assert found.places == [1, 2, 6]
    assert [(f.line, f.raw) for f in found.faults] == [(3, b"5"), (4, b'"s,x"'), (5, b"[1]")]
    assert b"1.50" in found.raws[2]


@pytest.mark.parametrize("size", [3, 1 << 20])
def test_a_list_is_found_at_its_path_in_each_document(size: int) -> None:
    data = b'{"m":{"rows":[1]},"rows" : [\n {"a":1},\n {"b":2}\n],"z":[{}]}\n{"rows":[{"c":3}]}'
    assert objects(read(data, listed(["rows"]), size=size)) == [{"a": 1}, {"b": 2}, {"c": 3}]


def test_an_object_over_many_lines_is_one_line_to_the_database_and_keeps_its_bytes() -> None:
    written = [b'{\r\n "a": 1,\n "b": "x"\r}', b'{"a":\n\n2}', b'{"a":3}']
    found = read(b"[\n" + b",\r\n".join(written) + b"\n]", listed([]))
    assert objects(found) == [{"a": 1, "b": "x"}, {"a": 2}, {"a": 3}]
    assert found.raws == written


@pytest.mark.parametrize("size", [3, 1 << 20])
def test_a_truncated_file_gives_what_is_whole_and_one_fault(size: int) -> None:
    found = read(b'[{"a":1},{"b":2},{"c', listed([]), size=size)
    assert objects(found) == [{"a": 1}, {"b": 2}]
    assert [(f.line, f.raw) for f in found.faults] == [(3, b'{"c')]
    assert "byte 17" in found.faults[0].reason


def test_a_list_that_is_never_closed_says_so() -> None:
    found = read(b'[{"a":1},', listed([]))
    assert (objects(found), len(found.faults)) == ([{"a": 1}], 1)


def test_one_broken_object_does_not_harm_its_neighbours() -> None:
    found = read(b'[{"a":1},{"b":2 3},{"c":"x\ny"},{"d":4}]', listed([]))
    assert objects(found) == [{"a": 1}, {"d": 4}]
    assert found.places == [1, 4]
    assert sorted(found.reasons()) == [2, 3]


def test_objects_one_after_the_other_are_rows() -> None:
    found = read(b'{"a":1}{"b":\n2} x {"c":3}]\n{"d":4}', listed(None))
    assert objects(found) == [{"a": 1}, {"b": 2}, {"c": 3}, {"d": 4}]
    assert [f.raw for f in found.faults] == [b"x", b"]"]


def test_the_longest_list_of_objects_is_the_record_path() -> None:
    data = json.dumps(
        {"tags": [{"t": 1}], "data": {"total": 3, "items": [{"a": n} for n in range(3)]}}
    ).encode()
    shape = sniff(io.BytesIO(data), "x.json")
    assert shape.options["record_path"] == ["data", "items"]
    assert objects(read(data, shape)) == [{"a": 0}, {"a": 1}, {"a": 2}]


def test_the_record_path_of_a_long_document_is_found_from_its_beginning() -> None:
    items = [{"id": n, "text": "x" * 500, "inner": [{"k": 1}] * 3} for n in range(12_000)]
    data = json.dumps({"meta": {"links": [{"a": 1}]}, "result": {"rows": items}, "end": 1}).encode()
    shape = sniff(io.BytesIO(data), "x.json")
    assert shape.options["record_path"] == ["result", "rows"]
    assert len(read(data, shape, size=1 << 20).rows) == 12_000


def test_an_outline_names_places_as_they_are_called_however_they_are_written() -> None:
    text = json.dumps({"data": {"عناصر": [{"a": 1}, {"a": 2}], 'say "hi"': [{"b": 1}]}})
    assert "\\u0639" in text
    shape = sniff(io.BytesIO(text.encode()), "x.json")
    found = {
        place.path: (place.count, place.fields) for place in outline(io.BytesIO(text.encode()), shape).places
    }
    assert found["data", "عناصر"] == (2, ("a",))
    assert found["data", 'say "hi"'] == (1, ("b",))


def test_a_single_object_is_one_row() -> None:
    data = b'{\n "a": 1,\n "b": {"c": "d"}\n}\n'
    assert objects(read(data, name="x.json")) == [{"a": 1, "b": {"c": "d"}}]


def test_numbers_keep_their_digits() -> None:
    found = read(b'[{"n":1234567890123456789012345.000100}]', listed([]))
    assert b"1234567890123456789012345.000100" in found.rows[0][0].encode()


@pytest.mark.parametrize("size", [50, 1 << 20])
def test_what_is_nested_too_deeply_is_a_fault_that_names_the_limit(size: int) -> None:
    deep = b'{"a":' * 300 + b"1" + b"}" * 300
    found = read(b"[" + deep + b',{"a":1}]', listed([]), size=size)
    assert objects(found) == [{"a": 1}]
    assert found.reasons() == {1: "nested more than 200 levels deep"}
    lines = read(deep + b'\n{"a":1}\n{"b":1}\n', Shape(format="ndjson"))
    assert lines.reasons() == {1: "nested more than 200 levels deep"}


def test_an_object_too_long_to_hold_is_a_fault_and_reading_goes_on() -> None:
    data = b'[{"a":1},{"b":"' + b"x" * (20 << 20) + b'"},{"c":3}]'
    found = read(data, listed([]), size=1 << 20)
    assert objects(found) == [{"a": 1}, {"c": 3}]
    assert list(found.reasons()) == [2]
    assert len(found.faults[0].raw) <= 1 << 16


def test_a_packed_list_is_read_without_unpacking_it_first() -> None:
    data = gzip.compress(json.dumps([{"a": n} for n in range(1000)]).encode())
    shape = sniff(io.BytesIO(data), "x.json.gz")
    assert (shape.format, shape.compression) == ("json", "gzip")
    assert len(read(data, shape).rows) == 1000


HOSTILE = {
    "an object in an object": b'{"a":' * 500_000 + b"1" + b"}" * 500_000,
    "a list in a list": b'[{"a":' + b"[" * 500_000 + b"]" * 500_000 + b'},{"b":1}]',
    "a string without end": b'[{"a":"' + b"x,{}" * 3_000_000,
    "nothing but closing brackets": b"}" * 100_000,
    "nothing but quotes": b'"' * 3_000_000,
    "nothing but commas": b"," * 2_000_000 + b"\n" + b"," * 2_000_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_input_is_accounted_for_in_little_time(name: str) -> None:
    before = time.thread_time()
    found = read(HOSTILE[name], name="x.json")
    assert found.faults or found.rows
    assert all(len(fault.raw) <= 1 << 20 for fault in found.faults)
    assert time.thread_time() - before < 10


_value = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=6)
    | st.sampled_from(['"', "\\", '\\"', "}],[{", "a\nb"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
_object = st.dictionaries(st.text(max_size=4) | st.sampled_from(["rows", '"', "\\"]), _value, max_size=3)


@settings(max_examples=200, deadline=None)
@given(
    rows=st.lists(_object, max_size=6),
    before=_value,
    size=st.integers(1, 60),
    indent=st.sampled_from([None, 1]),
    ascii_only=st.booleans(),
)
def test_every_object_comes_back_whatever_stands_around_it(
    rows: list[dict[str, Any]], before: Any, size: int, indent: int | None, ascii_only: bool
) -> None:
    document = {"first": before, "rows": rows, "last": {"rows": [{"no": 1}]}}
    data = json.dumps(document, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    found = read(data, listed(["rows"]), size=size)
    assert objects(found) == orjson.loads(json.dumps(rows))
    assert not found.faults
    assert [orjson.loads(raw) for raw in found.raws] == objects(found)


@settings(max_examples=150, deadline=None)
@given(
    text=st.lists(
        st.sampled_from(['{"a":1}', "{", "}", "[", "]", ",", '"', "\\", " ", "\n", "7", '{"b":"x"}']),
        max_size=25,
    ).map("".join),
    size=st.integers(1, 30),
)
def test_broken_json_gives_the_same_rows_and_faults_whatever_the_blocks(text: str, size: int) -> None:
    data = text.encode()
    paths: list[list[str] | None] = [None, []]
    for path in paths:
        whole = read(data, listed(path))
        pieces = read(data, listed(path), size=size)
        assert (pieces.rows, pieces.places) == (whole.rows, whole.places)
        assert [f.line for f in pieces.faults] == [f.line for f in whole.faults]
