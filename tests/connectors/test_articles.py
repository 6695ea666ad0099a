"""RSS and Atom entries become rows with their text and what it mentions."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from connectors.formats import sniff
from connectors.formats.limits import Refused
from connectors.formats.mentions import mentions
from tests.connectors.reading import read

RSS = b"""<?xml version="1.0" encoding="utf-8"?>
<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"><channel><title>A blog</title>
<item><guid>one</guid><title>Loader &amp; friends</title><link>https://blog.example/1</link>
<pubDate>Fri, 02 Jan 2026 03:04:05 +0200</pubDate><category>malware</category><category>loader</category>
<description>Short.</description>
<content:encoded><![CDATA[<p>It calls <b>evil[.]example[.]com</b>.</p><script>no()</script><p>Second at 203.0.113[.]7.</p>]]></content:encoded>
</item>
<item><title>No id</title><link>https://blog.example/2</link><description>See https://blog.example/2</description></item>
</channel></rss>"""

ATOM = b"""<feed xmlns="http://www.w3.org/2005/Atom"><title>Advisories</title>
<entry><id>urn:1</id><title>One</title><updated>2026-01-02T03:04:05Z</updated><author><name>CERT</name></author>
<summary type="html">&lt;p&gt;CVE-2026-0001&lt;/p&gt;</summary></entry></feed>"""


def rows(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(row[0]) for row in read(data, name="feed.xml").rows]


def test_an_entry_is_a_row_with_its_text_without_markup() -> None:
    first, second = rows(RSS)
    assert first["mentions"] == [
        {"value": "evil[.]example[.]com", "defanged": True, "context": "Loader & friends It calls evil[.]example[.]com. Second at 203.0.113[.]7."},
        {"value": "203.0.113[.]7", "defanged": True, "context": "Loader & friends It calls evil[.]example[.]com. Second at 203.0.113[.]7."},
    ]  # fmt: skip
    assert {name: first[name] for name in ("guid", "title", "published", "categories", "summary", "text", "feed")} == {
        "guid": "one", "title": "Loader & friends", "published": "2026-01-02T01:04:05Z", "categories": ["malware", "loader"],
        "summary": "Short.", "text": "It calls evil[.]example[.]com.\nSecond at 203.0.113[.]7.", "feed": "A blog",
    }  # fmt: skip
    assert second["guid"] == "https://blog.example/2"
    assert sniff(io.BytesIO(RSS), "feed").format == "articles"


def test_atom_is_read_like_rss() -> None:
    [entry] = rows(ATOM)
    assert (entry["guid"], entry["updated"], entry["author"], entry["summary"]) == (
        "urn:1", "2026-01-02T03:04:05Z", "CERT", "CVE-2026-0001"
    )  # fmt: skip
    assert [each["value"] for each in entry["mentions"]] == ["CVE-2026-0001"]


def test_a_feed_that_breaks_off_keeps_what_came_and_says_so() -> None:
    found = read(RSS[: RSS.index(b"<item><title>No id")] + b"<item><title>Half", name="feed.xml")
    assert len(found.rows) >= 1
    assert "malformed" in next(iter(found.reasons().values()))


def test_entities_are_refused() -> None:
    bomb = b'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY a "aaaa">]><rss version="2.0"><channel/></rss>'
    with pytest.raises(Refused):
        sniff(io.BytesIO(bomb), "feed.xml")


def test_other_xml_is_not_taken_for_a_feed() -> None:
    assert sniff(io.BytesIO(b"<?xml version='1.0'?><a><b>1</b><b>2</b></a>"), "a.xml").format == "xml"


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("see (hxxps://x[.]y/z).", ["hxxps://x[.]y/z"]),
        ("at evil[.]example[.]com, and microsoft.com", ["evil[.]example[.]com"]),
        ("mail bob[@]evil.com;", ["bob[@]evil.com"]),
        ("hash d41d8cd98f00b204e9800998ecf8427e.", ["d41d8cd98f00b204e9800998ecf8427e"]),
        ("http[:]//a[.]b/c?d=e#f!", ["http[:]//a[.]b/c?d=e#f"]),
        ("version 10.0.19041.1 of 203.0.113.7:443", ["203.0.113.7"]),
        ("192.0.2[.]1 and 192.0.2[.]1 again", ["192.0.2[.]1"]),
        ("nothing at all, e.g. node.js", []),
    ],
)
def test_a_text_mentions_what_was_meant_as_an_indicator(text: str, values: list[str]) -> None:
    assert [each.value for each in mentions(text)] == values


def test_every_defanged_value_of_a_public_list_is_found_whole(shared_data: Path) -> None:
    lines = (shared_data / "ioc-fanger" / "sample_text_defanged.txt").read_text().split()
    lost = [line for line in lines if line not in [each.value for each in mentions(f"seen at {line}, today")]]
    assert len(lines) > 900
    assert len(lost) < len(lines) / 100, lost[:20]


def test_public_feeds_are_read_without_losing_an_entry(shared_data: Path) -> None:
    counted = 0
    for path in sorted((shared_data / "feedparser").rglob("wellformed/rss/*.xml")):
        data = path.read_bytes()
        if b"<!ENTITY" in data or b"<!DOCTYPE" in data:
            continue
        shape = sniff(io.BytesIO(data), path.name)
        if shape.format == "articles":
            counted += 1
            assert len(read(data, shape).rows) == data.count(b"<item>") + data.count(b"<item "), path.name
    assert counted > 30
