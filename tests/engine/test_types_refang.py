"""Refang and defang, against 1,017 lines somebody else defanged."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.types import KINDS, defang, evaluate, refang


def test_every_line_of_the_oracle_is_refanged_as_its_twin(shared_data: Path) -> None:
    defanged = (shared_data / "ioc-fanger" / "sample_text_defanged.txt").read_text("utf-8").splitlines()
    fanged = (shared_data / "ioc-fanger" / "sample_text_fanged.txt").read_text("utf-8").splitlines()
    ours = evaluate(refang, defanged)
    assert len(ours) == 1017
    assert [pair for pair in zip(ours, fanged, strict=True) if pair[0] != pair[1]] == []


@pytest.mark.parametrize(
    ("marked", "plain"),
    [
        ("hXXp://evil[.]example", "http://evil.example"),
        ("hxxps[:]//evil(.)example", "https://evil.example"),
        ("hxxp[://]evil{.}example", "http://evil.example"),
        ("h**p://evil.example", "http://evil.example"),
        ("fxp://evil.example", "ftp://evil.example"),
        ("evil [dot] example", "evil.example"),
        ("evil dot example", "evil.example"),
        ("evil[.example", "evil.example"),
        ("evil.]example", "evil.example"),
        ("evil\\.example", "evil.example"),
        ("foo(at)evil[.]example", "foo@evil.example"),
        ("foo[@]evil.example", "foo@evil.example"),
        ("2001[:]db8[:][:]1", "2001:db8::1"),
        ("\ufeff 198.51.100.1\u00a0", "198.51.100.1"),
    ],
)
def test_marks_in_common_spellings_are_taken_back(marked: str, plain: str) -> None:
    assert evaluate(refang, [marked]) == [plain]


@pytest.mark.parametrize(
    "plain",
    [
        "http://evil.example/x(.)y",
        "http://evil.example/?q=a[.]b",
        "C:\\x\\.ssh\\a b (x86)\\y.exe",
        "C:\\.ssh",
        "http://[::1]/",
    ],
)
def test_what_is_written_plainly_is_left_alone(plain: str) -> None:
    """Here we differ from tools that rewrite any text: a plain URL's path means what it says."""
    assert evaluate(refang, [plain]) == [plain]


LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
DOMAIN = st.builds(
    lambda labels, tld: ".".join([*labels, tld]),
    st.lists(LABEL, min_size=1, max_size=3),
    st.sampled_from(["com", "example", "xn--p1ai"]),
)
IPV4 = st.ip_addresses(v=4).map(str)
IPV6 = st.ip_addresses(v=6).map(str)
# Marks in a path cannot be told from the author's own characters once the URL is defanged.
PATH = st.from_regex(r"(/[a-z0-9._~%=&-]{0,10}){0,3}(\?[a-z=&0-9]{0,8})?", fullmatch=True)
URL = st.builds(
    lambda s, h, p: f"{s}://{h}{p}", st.sampled_from(["http", "https", "ftp"]), st.one_of(DOMAIN, IPV4), PATH
)
EMAIL = st.builds(
    lambda a, d: f"{a}@{d}", st.from_regex(r"[a-z0-9]{1,8}(\.[a-z0-9]{1,4})?", fullmatch=True), DOMAIN
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(DOMAIN, IPV4, IPV6, URL, EMAIL), min_size=5, max_size=30))
def test_refanging_a_defanged_canonical_value_gives_it_back(values: list[str]) -> None:
    canonical = [v for v in evaluate(KINDS["indicator"].canonical, values) if v is not None]
    safe = evaluate(defang, canonical)
    assert evaluate(refang, safe) == canonical
    assert evaluate(defang, safe) == safe
    assert not any("://" in value and value.startswith("http") for value in safe)
