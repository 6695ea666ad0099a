"""Kinds: what a value is, and its one canonical form."""

from __future__ import annotations

import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.types import KINDS, canonical_as, evaluate, form_as, looks, recognise, refang

CASES: dict[str, list[tuple[str, str | None]]] = {
    "ipv4": [
        ("198.51.100.1", "198.51.100.1"),
        (" 198.51.100.1\t", "198.51.100.1"),
        ("198[.]51.100(.)1", "198.51.100.1"),
        ("198.051.100.1", None),
        ("198.51.100.1:443", None),
        ("198.51.100.0/24", None),
        ("198.51.100", None),
        ("256.1.1.1", None),
    ],
    "ipv6": [
        ("2001:0DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.1"),
        ("::FFFF:c000:201", "::ffff:192.0.2.1"),
        ("2001[:]db8[:][:]1", "2001:db8::1"),
        ("fe80::1%eth0", None),
        ("1::2::3", None),
        ("12:34", None),
    ],
    "cidr": [
        ("10.1.2.3/8", "10.0.0.0/8"),
        ("192.0.2.255/32", "192.0.2.255/32"),
        ("255.255.255.255/0", "0.0.0.0/0"),
        ("2001:DB8::1/32", "2001:db8::/32"),
        ("10.0.0.0/33", None),
        ("10.0.0.0/255.0.0.0", None),
        ("2001:db8::/129", None),
    ],
    "domain": [
        ("Example.COM.", "example.com"),
        ("evil[.]example[dot]com", "evil.example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("例え。jp", "xn--r8jz45g.jp"),
        ("_dmarc.example.com", "_dmarc.example.com"),
        ("update.zip", "update.zip"),
        ("invoice.pdf", None),
        ("setup.exe", None),
        ("example.com..", None),
        ("-a.example.com", None),
        ("a" * 64 + ".com", None),
        (".".join(["a" * 60] * 5) + ".com", None),
        ("localhost", None),
        ("198.51.100.1", None),
        ("a b.com", None),
    ],
    "url": [
        ("HTTP://Example.COM:80/A?b=C#D", "http://example.com/A?b=C#D"),
        ("https://example.com:443", "https://example.com"),
        ("https://example.com:80/", "https://example.com:80/"),
        ("hxxps://evil[.]example/x[.]php", "https://evil.example/x.php"),
        ("http[:]//evil.example/", "http://evil.example/"),
        ("hxxp[://]evil.example/", "http://evil.example/"),
        ("http://[2001:DB8::1]:8080/x", "http://[2001:db8::1]:8080/x"),
        ("http://bücher.example/ü", "http://xn--bcher-kva.example/ü"),
        ("http://user:pw@EXAMPLE.com/", "http://user:pw@example.com/"),
        ("ftp://198.51.100.1/a", "ftp://198.51.100.1/a"),
        ("http://intranet/a", "http://intranet/a"),
        ("http://example.com/[.]", "http://example.com/[.]"),
        ("http://example.com/a b", "http://example.com/a b"),
        ("http://999.1.1.1/", None),
        ("http://example.com:99999/", None),
        ("http://" + "a" * 64 + ".com/", None),
        ("http:///x", None),
        ("example.com/x", None),
        ("http://a.com/\x00", None),
    ],
    "email": [
        ("Foo.Bar@Example.COM", "foo.bar@example.com"),
        ("foo[at]example[.]com", "foo@example.com"),
        ("foo at example.com", "foo@example.com"),
        ("foo@bücher.example", "foo@xn--bcher-kva.example"),
        ("foo@", None),
        ("a@b@example.com", None),
        (".foo@example.com", None),
        ("a" * 65 + "@example.com", None),
    ],
    "md5": [("D41D8CD98F00B204E9800998ECF8427E", "d41d8cd98f00b204e9800998ecf8427e"), ("d41d8cd9", None)],
    "sha1": [("DA39A3EE5E6B4B0D3255BFEF95601890AFD80709", "da39a3ee5e6b4b0d3255bfef95601890afd80709")],
    "sha224": [("AB" * 28, "ab" * 28)],
    "sha256": [("1e" * 32, "1e" * 32), ("1g" * 32, None)],
    "sha384": [("AB" * 48, "ab" * 48)],
    "sha512": [("AB" * 64, "ab" * 64)],
    "imphash": [("AB" * 16, "ab" * 16)],
    "ja3": [("AB" * 16, "ab" * 16)],
    "ja3s": [("AB" * 16, "ab" * 16)],
    "jarm": [("27d40d40d29d40d1dc42d43d00041d4689ee210389f4f6b4b5b1b93f92252d", "27d40d40d29d40d1dc42d43d00041d4689ee210389f4f6b4b5b1b93f92252d")],
    "ssdeep": [
        ('96:s4Ud1Lj96tHHlZDrwciQmA+4uy1I0G4HYuL8N3TzS8QsO/wqWXLcMSx:sF1LjEtHHlZDrJzrhuyZvHYm8tKp/RWO,"a.exe"',
         "96:s4Ud1Lj96tHHlZDrwciQmA+4uy1I0G4HYuL8N3TzS8QsO/wqWXLcMSx:sF1LjEtHHlZDrJzrhuyZvHYm8tKp/RWO"),
        ("12:34", None),
    ],
    "tlsh": [("ab" * 35, "T1" + "AB" * 35), ("t1" + "ab" * 35, "T1" + "AB" * 35)],
    "asn": [("AS64500", "AS64500"), ("as 64500", "AS64500"), ("64500", "AS64500"), ("ASN0064500", "AS64500"), ("AS0", None), ("AS4294967296", None)],
    "cve": [("cve-2021-44228", "CVE-2021-44228"), ("CVE-2021-123", None), ("CVE-1799-1234", None)],
    "cwe": [("cwe-79", "CWE-79")],
    "mac": [
        ("00-1A-2B-3C-4D-5E", "00:1a:2b:3c:4d:5e"),
        ("001a.2b3c.4d5e", "00:1a:2b:3c:4d:5e"),
        ("001A2B3C4D5E", "00:1a:2b:3c:4d:5e"),
        ("00:1a:2b:3c:4d", None),
        ("00:1a-2b:3c:4d:5e", None),
    ],
    "filename": [("Invoice (1).pdf", "Invoice (1).pdf"), ("a/b.exe", None), ("..", None), ("a" * 256, None)],
    "file-path": [
        ("C:\\Windows\\x.exe", "C:\\Windows\\x.exe"),
        ("%APPDATA%\\x\\y.dll", "%APPDATA%\\x\\y.dll"),
        ("\\\\server\\share\\x", "\\\\server\\share\\x"),
        ("/etc/passwd", "/etc/passwd"),
        ("x.exe", None),
    ],
    "registry-key": [
        ("HKLM\\Software\\X", "HKEY_LOCAL_MACHINE\\Software\\X"),
        ("hkcu:\\Software\\.hidden", "HKEY_CURRENT_USER\\Software\\.hidden"),
        ("\\REGISTRY\\MACHINE\\SYSTEM", "HKEY_LOCAL_MACHINE\\SYSTEM"),
        ("HKEY_USERS", "HKEY_USERS"),
        ("HKLMX\\a", None),
    ],
    "mutex": [("Global\\{x}", "Global\\{x}"), ("a[.]b", "a[.]b"), ("", None)],
    "user-agent": [("Mozilla/5.0 (X11; Linux)", "Mozilla/5.0 (X11; Linux)"), ("a\nb", None)],
    "bitcoin": [
        ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"),
        ("BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"),
        ("bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0", "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0"),
        ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb", None),
        ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5", None),
    ],
    "ethereum": [("0xde0B295669a9FD93d5F28D9Ec85E40f4cb697BAe", "0xde0b295669a9fd93d5f28d9ec85e40f4cb697bae")],
    "yara": [("rule X { condition: true }", "rule X { condition: true }"), ("rule of thumb", None)],
    "port": [("0443", "443"), ("65536", None)],
    "country": [("de", "DE"), ("DEU", "DE"), ("XX", None)],
    "uuid": [("{8E2E2D2B-17D4-4CBF-938F-98EE46B3CD3F}", "8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f")],
    "stix-id": [("Indicator--8E2E2D2B-17D4-4CBF-938F-98EE46B3CD3F", "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f")],
    "indicator": [("EVIL[.]com", "evil.com"), ("hklm\\x", "HKEY_LOCAL_MACHINE\\x"), ("just words", None)],
}  # fmt: skip

LOOKS = {
    "198.51.100.1": "ipv4", "2001:db8::1": "ipv6", "10.0.0.0/8": "cidr", "2001:db8::/32": "cidr", "evil[.]example": "domain",
    "hxxp://evil.example/x": "url", "foo@example.com": "email", "00:1a:2b:3c:4d:5e": "mac", "AS64500": "asn",
    "ab" * 16: "md5", "ab" * 20: "sha1", "ab" * 32: "sha256", "ab" * 64: "sha512", "ab" * 31: "jarm", "T1" + "ab" * 35: "tlsh",
    "3:abcd:efg": "ssdeep", "CVE-2021-44228": "cve", "CWE-79": "cwe", "invoice.pdf": "filename", "my notes.docx": "filename",
    "C:\\x\\y.exe": "file-path", "/tmp/x": "file-path", "HKCU\\x": "registry-key", "Mozilla/5.0 (X11)": "user-agent",
    "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa": "bitcoin", "0x" + "ab" * 20: "ethereum", "bücher.example": None,
    "bücher.xn--p1ai": "domain", "rule X { condition: true }": "yara",
    "8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f": "uuid", "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f": "stix-id",
    "john.smith": None, "com.android.settings": None, "1.2": None, "v1.2.3": None, "2024-01-01": None, "12345": None,
    "some words": None, "": None, "high": None, "1622548800": None, "12:34:56": None, "DE": None, "e.g.": None,
}  # fmt: skip

GARBAGE = st.one_of(
    st.text(max_size=60),
    st.text(alphabet="abcx09.:/@[](){}-_%\\ hxtp~?#\n\x00é。", max_size=40),
    st.from_regex(r"h[xt]{2}ps?\[?:\]?//[a-zA-Z0-9\[\].@:]{1,30}(/[a-z.\[\]()]{0,10})?", fullmatch=True),
    st.from_regex(r"[A-Za-z0-9._-]{1,20}(\[\.\]|\.|\(dot\))[a-zA-Z]{2,5}\.?", fullmatch=True),
)


@pytest.mark.parametrize("name", CASES)
def test_a_value_has_one_canonical_form_or_is_not_of_the_kind(name: str) -> None:
    given_values = [value for value, _ in CASES[name]]
    found = dict(zip(given_values, evaluate(KINDS[name].canonical, given_values), strict=True))
    assert found == dict(CASES[name])


def test_every_kind_has_cases() -> None:
    assert set(CASES) == set(KINDS)


def test_a_bare_value_is_told_by_its_looks() -> None:
    assert dict(zip(LOOKS, evaluate(recognise, list(LOOKS)), strict=True)) == LOOKS | {"bücher.example": None}


def test_null_stays_null() -> None:
    for kind in KINDS.values():
        assert evaluate(kind.canonical, [None]) == [None]
    assert evaluate(recognise, [None]) == [None]
    assert evaluate(refang, [None]) == [None]


@pytest.mark.parametrize("name", KINDS)
def test_a_kinds_sql_survives_the_parser_that_plans_are_built_with(name: str) -> None:
    values = [value for value, _ in CASES[name]] + ["1.2.3.4", "x", None]
    text = KINDS[name].canonical("value")
    generated = sqlglot.parse_one(text, read="duckdb").sql("duckdb")
    assert sqlglot.parse_one(generated, read="duckdb").sql("duckdb") == generated
    assert evaluate(lambda _: generated, values) == evaluate(KINDS[name].canonical, values)


def test_the_two_halves_of_a_kind_are_its_canonical_form() -> None:
    values = [value for cases in CASES.values() for value, _ in cases]
    for kind in KINDS.values():
        clean = evaluate(kind.clean, values)
        assert evaluate(kind.form, clean) == evaluate(kind.canonical, values), kind.name
    assert evaluate(looks, evaluate(refang, values)) == evaluate(recognise, values)


def test_what_is_recognised_has_a_canonical_form_of_that_kind_and_as_an_indicator() -> None:
    values = [value for cases in CASES.values() for value, _ in cases] + list(LOOKS)
    kinds = evaluate(recognise, values)
    as_indicator = evaluate(KINDS["indicator"].canonical, values)
    for value, kind, form in zip(values, kinds, as_indicator, strict=True):
        assert (kind is None) == (form is None), value
        if kind is not None:
            assert evaluate(KINDS[kind].canonical, [value]) == [form], (value, kind)


@settings(max_examples=8, deadline=None)
@given(st.lists(GARBAGE, min_size=100, max_size=150))
def test_canonical_forms_are_final_and_nothing_raises(values: list[str]) -> None:
    for kind in KINDS.values():
        once = [form for form in evaluate(kind.canonical, values) if form is not None]
        assert evaluate(kind.canonical, once) == once, kind.name
    evaluate(recognise, values)


def test_a_declared_type_beats_looks_and_an_unknown_one_keeps_the_value() -> None:
    assert evaluate(lambda v: canonical_as(v, "'filename'"), ["EVIL.com"]) == ["EVIL.com"]
    assert evaluate(lambda v: canonical_as(v, "'domain'"), ["EVIL.com", "x"]) == ["evil.com", None]
    assert evaluate(lambda v: canonical_as(v, "'mutex'"), [" a[.]b "]) == ["a[.]b"]
    assert evaluate(lambda v: canonical_as(v, "'favicon-mmh3'"), [" 123 ", " "]) == ["123", None]
    assert evaluate(lambda v: canonical_as(v, "NULL"), ["EVIL.com", "words"]) == ["evil.com", None]
    assert evaluate(lambda v: form_as(v, v, "'ipv4'"), ["10.0.0.1/8"]) == ["10.0.0.0/8"]


def test_hashes_that_look_alike_are_told_apart_by_name_only() -> None:
    """imphash, JA3 and MD5 are all 32 digits: looks say MD5, a field's declared kind says otherwise."""
    assert evaluate(recognise, ["ab" * 16]) == ["md5"]
    assert evaluate(KINDS["imphash"].canonical, ["AB" * 16]) == ["ab" * 16]
