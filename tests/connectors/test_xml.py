"""XML: each element at the record path is a row; nothing expands, nothing is fetched."""

from __future__ import annotations

import io

import pytest

from connectors.formats import refit, sniff
from connectors.formats.limits import Refused
from tests.connectors.reading import objects, read

FEED = (
    b'<?xml version="1.0"?><feed xmlns="urn:x"><title>t</title>'
    b'<item id="1"><ip>203.0.113.1</ip><tag>a</tag><tag>b</tag>note</item>'
    b'<item id="2"><ip kind="v4">203.0.113.2</ip><!-- c --><empty/></item></feed>'
)


def test_elements_become_rows_with_attributes_text_and_lists() -> None:
    found = read(FEED, name="x.xml")
    assert objects(found) == [
        {"@id": "1", "ip": "203.0.113.1", "tag": ["a", "b"], "#text": "note"},
        {"@id": "2", "ip": {"@kind": "v4", "#text": "203.0.113.2"}, "empty": None},
    ]
    assert found.raws[0].startswith(b"<item")


def test_another_record_path_can_be_chosen() -> None:
    shape = sniff(io.BytesIO(FEED), "x.xml")
    assert shape.options["record_path"] == ["feed", "item"]
    changed = refit(io.BytesIO(FEED), shape.model_copy(update={"options": {"record_path": "feed/item/tag"}}))
    assert objects(read(FEED, changed)) == [{"#text": "a"}, {"#text": "b"}]


def test_a_truncated_file_gives_its_whole_records_and_one_fault() -> None:
    found = read(FEED[:-30], name="x.xml")
    assert (len(found.rows), len(found.faults)) == (1, 1)


@pytest.mark.parametrize(
    "data",
    [
        b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><l><x>&b;</x><x>1</x></l>',
        b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY x SYSTEM "file:///etc/passwd">]><l><x>&x;</x></l>',
        b'<?xml version="1.0"?><!DOCTYPE l SYSTEM "http://example.com/x.dtd"><l><x>1</x></l>',
        b'<?xml version="1.0"?><r>' + b"<a>" * 500 + b"</a>" * 500 + b"</r>",
    ],
)
def test_entities_outside_dtds_and_deep_nesting_are_refused(data: bytes) -> None:
    with pytest.raises(Refused):
        sniff(io.BytesIO(data), "x.xml")


def test_a_long_file_is_read_as_a_stream_of_chunks() -> None:
    data = b"<r>" + b"".join(b"<x><n>%d</n></x>" % n for n in range(20_000)) + b"</r>"
    found = read(data, name="x.xml", size=10_000)
    assert [row["n"] for row in objects(found)] == [str(n) for n in range(20_000)]
