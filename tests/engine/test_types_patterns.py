"""STIX patterns: their values and observables, with the OASIS parser as oracle."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stix2patterns.v21.pattern import Pattern

from engine.types import KINDS, evaluate, pattern_from, pattern_kind, pattern_observables, pattern_value


def _patterns(shared_data: Path) -> list[str]:
    found: dict[str, None] = {}
    for path in sorted(shared_data.rglob("*.json")):
        try:
            document = json.loads(path.read_text("utf-8"))
        except ValueError:
            continue
        pending = [document]
        while pending:
            item = pending.pop()
            if isinstance(item, dict):
                if item.get("type") == "indicator" and isinstance(item.get("pattern"), str):
                    found[item["pattern"]] = None
                pending.extend(item.values())
            elif isinstance(item, list):
                pending.extend(item)
    return list(found)


def _plain(value: object) -> str:
    text = str(value)
    return re.sub(r"\\(.)", r"\1", text.removeprefix("t")[1:-1]) if text.endswith("'") else text


def _oracle(pattern: str) -> list[str] | None:
    """Values of all comparisons where each is an equality and nothing else is said; else None."""
    data = Pattern(pattern).inspect()
    if data.qualifiers or data.observation_ops - {"AND", "OR"}:
        return None
    values = []
    for comparisons in data.comparisons.values():
        for _, operator, value in comparisons:
            if operator != "=":
                return None
            values.append(value.lower() if value in ("True", "False") else _plain(value))
    return sorted(values)


def test_observables_of_real_patterns_are_those_the_oasis_parser_finds(shared_data: Path) -> None:
    patterns = [p for p in _patterns(shared_data) if p.lstrip().startswith(("[", "("))]
    assert len(patterns) > 60
    checked = 0
    for pattern, ours in zip(patterns, evaluate(pattern_observables, patterns), strict=True):
        try:
            expected = _oracle(pattern)
        except Exception:  # the parser refuses what is no pattern
            continue
        checked += 1
        found = None if ours is None else sorted(item["value"] for item in json.loads(ours))
        assert found == expected, pattern
    assert checked > 60


@pytest.mark.parametrize(
    ("pattern", "kind", "value"),
    [
        ("[ipv4-addr:value = '198.51.100.1']", "ipv4", "198.51.100.1"),
        ("[ ipv4-addr:value='198.51.100.0/24' ]", "cidr", "198.51.100.0/24"),
        ("[file:hashes.'SHA-256' = 'ab']", "sha256", "ab"),
        ("[file:hashes.MD5 = 'ab']", "md5", "ab"),
        (r"[file:name = 'it\'s \\ me']", "filename", "it's \\ me"),
        ("[url:value = 'http://a.example/?x=a AND b']", "url", "http://a.example/?x=a AND b"),
        ("[autonomous-system:number = 64500]", "asn", "64500"),
        ("[email-message:subject = 'hello']", None, "hello"),
        ("[a:b = 'x' AND a:c = 'y']", None, None),
        ("[a:b = 'x'] FOLLOWEDBY [a:b = 'y']", None, None),
        ("[file:name LIKE 'x%']", None, None),
        ("[NOT file:name = 'x']", None, None),
        ("rule X { condition: true }", None, None),
        ("", None, None),
    ],
)
def test_a_pattern_of_one_equality_gives_its_kind_and_value(
    pattern: str, kind: str | None, value: str | None
) -> None:
    assert evaluate(pattern_kind, [pattern]) == [kind]
    assert evaluate(pattern_value, [pattern]) == [value]


@pytest.mark.parametrize(
    "pattern",
    [
        "[file:name = 'x'] FOLLOWEDBY [file:name = 'y']", "[file:name MATCHES 'x']", "[file:name IN ('x', 'y')]",
        "[file:size > 5]", "[file:name != 'x']", "[NOT file:name = 'x']", "([file:name = 'x']) WITHIN 5 SECONDS",
        "[file:name = 'x'] REPEATS 5 TIMES", "[file:name = 'x'", "file:name = 'x')", "[file:name = 'x' XOR file:name = 'y']",
    ],
)  # fmt: skip
def test_what_says_more_than_equalities_is_kept_as_a_pattern_only(pattern: str) -> None:
    assert evaluate(pattern_observables, [pattern]) == [None]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=20).filter(lambda t: "\x00" not in t), min_size=3, max_size=10))
def test_a_pattern_made_of_a_value_gives_the_value_back(values: list[str]) -> None:
    patterns = evaluate(lambda v: pattern_from("'filename'", v), values)
    assert evaluate(pattern_value, patterns) == values
    assert evaluate(pattern_kind, patterns) == ["filename"] * len(values)
    assert [json.loads(found)[0]["value"] for found in evaluate(pattern_observables, patterns)] == values


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("ipv4", "198.51.100.1"), ("ipv6", "2001:db8::1"), ("cidr", "10.0.0.0/8"), ("cidr", "2001:db8::/32"), ("domain", "a.example"),
        ("url", "http://a.example/'x'"), ("email", "a@b.example"), ("md5", "ab" * 16), ("sha256", "ab" * 32), ("filename", "it's.exe"),
        ("registry-key", "HKEY_USERS\\x"), ("mutex", "m"), ("asn", "AS64500"), ("mac", "00:1a:2b:3c:4d:5e"), ("user-agent", "x"),
    ],
)  # fmt: skip
def test_patterns_we_write_are_valid_to_the_oasis_parser_and_come_back(kind: str, value: str) -> None:
    [pattern] = evaluate(lambda v: pattern_from(f"'{kind}'", v), [value])
    Pattern(pattern)
    assert evaluate(pattern_kind, [pattern]) == [kind]
    found = evaluate(pattern_value, [pattern])
    assert evaluate(KINDS[kind].canonical, found) == [value]
