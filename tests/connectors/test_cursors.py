"""A cursor of every kind is told in words, and one its source could not have given is found out."""

from __future__ import annotations

import base64

import pytest

from connectors.cursors import NOTHING_READ, doubt, told
from engine.model import Source
from engine.ports import Cursor

MARKS = base64.b64encode(b"\0" * 24).decode()
KINDS: list[tuple[str, dict[str, object], Cursor, str]] = [
    ("taxii", {"overlap": 60}, {"collections": {"c-1": "2026-11-22T04:10:00.500000Z"}},
     "Everything added to the server before: collection c-1 up to 2026-11-22 04:10:00.5 UTC; the next run reads the 60 "
     "seconds before it again."),
    ("postgres", {"cursor": "updated_at", "overlap": 5}, {"column": "updated_at", "value": "2026-06-01 02:00:00+02"},
     "Everything whose updated_at is 2026-06-01 00:00:00 UTC or less; the next run reads the 5 seconds before it again."),
    ("mysql", {"cursor": "id"}, {"column": "id", "value": "4711"}, "Everything whose id is 4711 or less; the next run reads the 300 before it again."),
    ("mongo", {"cursor": "seen"}, {"field": "seen", "value": '{"$date": {"$numberLong": "1767225600000"}}'},
     "Everything whose seen is 2026-01-01 00:00:00 UTC or less; the next run reads the 300 seconds before it again."),
    ("mongo", {}, {"token": '{"_data": "82"}'},
     "All changes up to a place in their stream that only the server can read."),
    ("rest", {}, {"since": 1_767_225_600},
     "Everything up to 2026-01-01 00:00:00 UTC; the next run reads the 300 seconds before it again."),
    ("folder", {}, {"files": {"old.csv": [3, 1, "aa"], "new.csv": [3, 9, "bb"]}}, "2 files read, the newest new.csv."),
    ("url", {}, {"etag": '"abc"', "modified": "Tue, 03 Mar 2026 08:00:00 GMT"},
     'The file as it was on Tue, 03 Mar 2026 08:00:00 GMT; the file the server calls "abc".'),
    ("url", {"url": "https://blog.example/feed", "follow": True},
     {"known": MARKS, "waiting": {"0": MARKS, "1": MARKS}},
     "3 entries read, each as it was then; 6 pages still to be fetched."),
    ("url", {"url": "https://blog.example/feed", "follow": True}, {"known": MARKS, "etag": "abc", "asked": "1f"},
     "3 entries read, each as it was then; the file the server calls abc."),
    ("misp_feed", {}, {"known": MARKS}, "3 events read, each as it was then."),
    ("paste", {}, {"sha256": "0123456789abcdef"}, "The text whose SHA-256 begins with 0123456789ab."),
    ("sftp", {}, {"known": MARKS, "files": 3, "last": "in/c.csv"},
     "3 files read, each as it was then, the last one in/c.csv."),
]  # fmt: skip


@pytest.mark.parametrize(("connector", "config", "cursor", "says"), KINDS)
def test_a_cursor_is_told_in_words_and_is_one_its_source_could_have_given(
    connector: str, config: dict[str, object], cursor: Cursor, says: str
) -> None:
    source = Source(id="s", name="S", connector=connector, config=config)
    assert told(source, cursor) == says
    assert doubt(source, cursor, [cursor]) == ""
    assert told(source, None) == NOTHING_READ


@pytest.mark.parametrize(
    ("connector", "config", "cursor", "before", "why"),
    [
        ("taxii", {}, {"collections": {"c-1": "yesterday"}}, [], "holds for c-1 what is no time"),
        ("taxii", {}, {"since": "2026-01-01T00:00:00Z"}, [], "it lacks collections"),
        ("postgres", {"cursor": "id"}, {"column": "seen", "value": "1"}, [], "read by id, not by seen"),
        ("postgres", {}, {"column": "id", "value": "x"}, [{"column": "id", "value": "17"}], "is no number"),
        (
            "mysql",
            {},
            {"column": "t", "value": "soon"},
            [{"column": "t", "value": "2026-01-01 00:00:00"}],
            "no time",
        ),
        ("misp_feed", {}, {"known": "???"}, [], "is no list of marks"),
        ("folder", {}, {"files": {"a": 1}}, [], "holds for a what is no entry"),
        ("rest", {}, {"since": "2026-01-01"}, [], "no cursor yet"),
        ("rest", {}, {"since": "2026-01-01"}, [{"since": 5}], "another type"),
        ("rest", {}, {"from": 5}, [{"since": 5}], "it lacks since"),
        ("url", {}, {"etag": "a", "more": 1}, [{"etag": "b"}], "does not give more"),
        ("url", {}, {"known": "???"}, [], "known is no list of marks"),
        ("url", {}, {"known": MARKS, "waiting": {"0": 5}}, [], "0 is no list of marks"),
        ("url", {}, {"known": MARKS, "waiting": [MARKS]}, [], "how often each was asked for"),
    ],
)
def test_a_cursor_a_source_could_not_have_given_is_doubted(
    connector: str, config: dict[str, object], cursor: Cursor, before: list[Cursor], why: str
) -> None:
    assert why in doubt(Source(id="s", name="S", connector=connector, config=config), cursor, before)
