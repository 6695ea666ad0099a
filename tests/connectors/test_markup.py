"""What stands in a page is read: its main part, in the encoding that fits, whatever it holds besides."""

from __future__ import annotations

from html import escape
from pathlib import Path

import pytest

from connectors.formats.markup import TEXT, main_text, plain
from connectors.formats.mentions import mentions
from engine.types import evaluate, refang


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<nav>n</nav><article><h1>T</h1><p>One\n two.</p><aside>a</aside></article><footer>f</footer>", "T\nOne two."),
        ("<header>h</header><main><header>Title</header><p>In.</p></main><div>Out.</div>", "Title\nIn."),
        ("<div role='main'><p>In.</p></div><div>Out.</div>", "In."),
        ("<header>h</header><div>All <b>of</b> it.</div><script>s</script><style>s</style>", "All of it."),
        ("<main><article>Teaser.</article><article>Another.</article><p>" + "What it is about. " * 9 + "</p></main>",
         "Teaser.\nAnother.\n" + " ".join(["What it is about."] * 9)),
        ("<article>Short.</article><article>The longer one of two.</article>", "The longer one of two."),
        ("<article>Outer <article>inner.</article></article>", "Outer\ninner."),
        ("<table><tr><td>evil[.]example</td><td>C2</td></tr><tr><td>b</td></tr></table>", "evil[.]example C2\nb"),
        ("<pre>a\n  b</pre>c", "a\nb\nc"),
        ("a<br>b<hr>c", "a\nb\nc"),
        ("evil<b>[.]</b>ex<wbr>ample<!-- no -->.com", "evil[.]example.com"),
        ("<header>Only a header.</header>", "Only a header."),
        ("<form><p>The whole page.</p><select><option>o</select><textarea>t</textarea></form>", "The whole page."),
        ("<p>Unclosed <i>and <b>crossed</i> over</b", "Unclosed and crossed over"),
        ("&lt;b&gt; &amp; &#x41; &hellip; &unknown;", "<b> & A … &unknown;"),
        ("no markup at all", "no markup at all"),
        ("<?xml version='1.0' encoding='utf-16'?><html xmlns='http://www.w3.org/1999/xhtml'><body>X</body></html>", "X"),
    ],
)  # fmt: skip
def test_the_main_part_of_a_page_is_what_is_read(html: str, text: str) -> None:
    assert main_text(html.encode(), "text/html; charset=utf-8").text == text


@pytest.mark.parametrize(
    ("body", "media"),
    [
        ("Café".encode(), "text/html"),
        ("Café".encode(), "text/html; charset=utf-8"),
        ("Café".encode("latin-1"), "text/html; charset=utf-8"),
        ("Café".encode("latin-1"), "text/html; charset=iso-8859-1"),
        ("Café".encode(), "text/html; charset=ascii"),
        ("Café".encode(), "text/html; charset=no-such-thing"),
        ("Café".encode(), "text/html; charset=punycode"),
        ("Café".encode(), "text/html; charset=hex"),
        ("Café".encode("utf-16"), "text/html; charset=utf-8"),
        ("\ufeffCafé".encode(), "text/html; charset=latin-1"),
        (b'<meta charset="windows-1250">' + "Café".encode("cp1250"), "text/html"),
        (b"<meta http-equiv='content-type' content='text/html; charset=koi8-r'>" + "Кафе".encode("koi8-r"), ""),
        ("カフェ".encode("shift_jis"), "text/html; charset=Shift_JIS"),
        ("Café".encode(), "text/plain"),
        ("Café".encode(), ";;charset==\"';"),
    ],
)  # fmt: skip
def test_a_page_is_read_in_the_encoding_that_fits(body: bytes, media: str) -> None:
    assert main_text(body, media).text in ("Café", "Кафе", "カフェ")


MUCH = 1 << 18
HOSTILE = {
    "nested": b"<div>" * (MUCH // 5) + b"deep",
    "nested parts": b"<article><main><pre>" * (MUCH // 20) + b"deep",
    "never closed": b"<b><i>" * (MUCH // 6) + b"deep",
    "many pieces": b"<body>" + b"<script></script>a" * (MUCH // 18),
    "many attributes": b"<p " + b" ".join(b"a%d=1" % n for n in range(100_000)) + b">deep",
    "entities": b'<!DOCTYPE h [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><p>&b;' + b"&b;" * (MUCH // 3),
    "an outer entity": b'<!DOCTYPE h [<!ENTITY x SYSTEM "file:///etc/passwd">]><p>deep &x;',
    "brackets": b"<" * MUCH,
    "comments": b"deep" + b"<!--" * (MUCH // 4),
    "zeros": b"deep" + b"\0" * MUCH,
    "noise": bytes(range(256)) * 1024,
    "dots": b"a." * (MUCH // 2),
    "hyphens": b"a-" * (MUCH // 2),
    "spaced dots": b"a [.] " * (MUCH // 6),
    "brackets of an address": b"http://x/" + b")" * MUCH,
    "at signs": b"a@a." * (MUCH // 4),
}  # fmt: skip


@pytest.mark.parametrize("held", HOSTILE)
def test_whatever_a_page_holds_reading_it_takes_no_more_than_its_length(held: str) -> None:
    # What took the square of it would run out of the test's time.
    found = main_text(HOSTILE[held], "text/html")
    mentions(found.text)
    assert "root:" not in found.text
    if b"deep" in HOSTILE[held]:
        assert "deep" in found.text
    plain(HOSTILE[held].decode("latin-1"))


def test_of_a_very_long_text_the_beginning_is_read_and_that_is_told() -> None:
    found = main_text(b"<p>" + b"word " * (TEXT // 4), "text/html")
    assert len(found.text) == TEXT
    assert found.problem == "only the first 1,048,576 characters of it are read"


def test_what_a_page_names_is_refanged_as_a_public_list_has_it(shared_data: Path) -> None:
    """Each value in a page of its own words: found whole, with them around it, and refanged as its twin."""
    folder = shared_data / "ioc-fanger"
    defanged = (folder / "sample_text_defanged.txt").read_text("utf-8").splitlines()
    fanged = (folder / "sample_text_fanged.txt").read_text("utf-8").splitlines()
    pairs = {one: two for one, two in zip(defanged, fanged, strict=True) if one and " " not in one}
    listed = "".join(f"<tr><td>seen at</td><td>{escape(one)}</td><td>, once</td></tr>" for one in pairs)
    html = f"<nav>x</nav><main><table>{listed}</table></main>"
    found = mentions(main_text(html.encode(), "text/html; charset=utf-8").text)
    told = {each.value: each.context for each in found}
    whole = [value for value in pairs if value in told]
    assert len(whole) > 0.99 * len(pairs) > 500
    assert all(f"seen at {value} , once" in told[value] for value in whole)
    assert evaluate(refang, whole) == [pairs[value] for value in whole]
