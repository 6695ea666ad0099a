"""Identifiers, timestamps, vocabularies and the registered functions."""

from __future__ import annotations

import json
import uuid
from datetime import datetime

import duckdb
import pymisp
import pytest
import stix2
import stix2.v21.vocab
from hypothesis import given, settings
from hypothesis import strategies as st
from stix2.confidence import scales

from engine.types import (
    KINDS,
    VOCABULARIES,
    date_order,
    evaluate,
    indicator_id,
    observable_id,
    recognise,
    register,
    timestamp,
    timestamp_formatted,
    timestamp_ordered,
    uuid5_of,
)
from engine.types.identity import INDICATORS
from engine.types.vocabularies.misp import TYPES
from engine.types.vocabularies.tlp import MARKINGS


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(max_size=30).filter(lambda t: "\x00" not in t), min_size=1, max_size=20))
def test_uuid5_in_sql_is_pythons(names: list[str]) -> None:
    assert evaluate(lambda v: uuid5_of(INDICATORS, v), names) == [
        str(uuid.uuid5(INDICATORS, n)) for n in names
    ]


def test_an_indicator_from_two_feeds_has_one_id() -> None:
    expected = f"indicator--{uuid.uuid5(INDICATORS, 'ipv4:198.51.100.1')}"
    assert evaluate(lambda v: indicator_id("'ipv4'", v), ["198.51.100.1"]) == [expected]


def test_ids_of_observables_are_those_of_the_reference_implementation() -> None:
    made = [
        ("ipv4", stix2.v21.IPv4Address(value="198.51.100.1")), ("ipv6", stix2.v21.IPv6Address(value="2001:db8::1")),
        ("domain", stix2.v21.DomainName(value="a.example")), ("url", stix2.v21.URL(value='http://a.example/"x"')),
        ("email", stix2.v21.EmailAddress(value="a@b.example")), ("mac", stix2.v21.MACAddress(value="00:1a:2b:3c:4d:5e")),
    ]  # fmt: skip
    for kind, thing in made:
        assert evaluate(lambda v, kind=kind: observable_id(f"'{kind}'", v), [thing.value]) == [thing.id]
    assert evaluate(lambda v: observable_id("'mutex'", v), ["x"]) == [None]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-03-04", "2024-03-04"), ("2024-03-04T05:06:07Z", "2024-03-04T05:06:07"), ("2024-03-04 05:06:07.5", "2024-03-04T05:06:07.500"),
        ("2024-03-04T05:06:07.123456789Z", "2024-03-04T05:06:07.123456"), ("2024-03-04T05:06:07+02:00", "2024-03-04T03:06:07"),
        ("2024-03-04T05:06:07-0530", "2024-03-04T10:36:07"), ("2024-03-04T05:06", "2024-03-04T05:06"), ("2024-03-04 05:06:07 UTC", "2024-03-04T05:06:07"),
        ("20240304", "2024-03-04"), ("20240304T050607Z", "2024-03-04T05:06:07"), ("20240304050607", "2024-03-04T05:06:07"),
        ("1709528767", "2024-03-04T05:06:07"), ("1709528767123", "2024-03-04T05:06:07.123"), ("1709528767.25", "2024-03-04T05:06:07.250"),
        ("2024/03/04 05:06:07", "2024-03-04T05:06:07"), ("Mon, 04 Mar 2024 05:06:07 +0100", "2024-03-04T04:06:07"),
        ("Mon, 04 Mar 2024 05:06:07 GMT", "2024-03-04T05:06:07"), ("Mar 4, 2024", "2024-03-04"), ("4 March 2024", "2024-03-04"),
        ("03/04/2024", None), ("04.03.2024", None), ("0000-00-00 00:00:00", None), ("2024-13-01", None), ("soon", None), ("12", None), ("", None),
    ],
)  # fmt: skip
def test_a_moment_is_read_in_any_unambiguous_spelling_and_never_guessed(
    text: str, moment: str | None
) -> None:
    assert evaluate(timestamp, [text]) == [moment and datetime.fromisoformat(moment)]


def test_the_order_of_day_and_month_is_somebodys_decision() -> None:
    april, march = datetime(2024, 4, 3), datetime(2024, 3, 4)
    assert (
        evaluate(lambda v: timestamp_ordered(v, "dmy"), ["03/04/2024", "3.4.24", "2024-04-03"]) == [april] * 3
    )
    assert evaluate(lambda v: timestamp_ordered(v, "mdy"), ["03/04/2024 00:00", "13/04/2024"]) == [
        march,
        None,
    ]
    assert evaluate(lambda v: timestamp_formatted(v, "%d|%m|%Y"), ["03|04|2024", "x"]) == [april, None]
    orders = ["03/04/2024", "13/04/2024", "03/14/2024", "2024/03/04", "32/01/2024", "x"]
    assert evaluate(date_order, orders) == ["either", "dmy", "mdy", "ymd", None, None]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.one_of(st.text(max_size=30), st.text(alphabet="0123456789-/.:TZ +", max_size=25)),
        min_size=5,
        max_size=20,
    )
)
def test_no_text_makes_a_date_raise(values: list[str]) -> None:
    evaluate(timestamp, values)
    evaluate(date_order, values)
    evaluate(lambda v: timestamp_ordered(v, "dmy"), values)


def test_tlp_in_every_spelling_and_by_its_marking_definition() -> None:
    tlp = VOCABULARIES["tlp"].canonical
    words = ["WHITE", "TLP:Clear", "tlp:amber+strict", "TLP-AMBER", "red", 'tlp="green"', "", "public", None]
    assert evaluate(tlp, words) == [
        "CLEAR",
        "CLEAR",
        "AMBER+STRICT",
        "AMBER",
        "RED",
        "GREEN",
        None,
        None,
        None,
    ]
    known = {
        stix2.TLP_WHITE.id: "CLEAR",
        stix2.TLP_GREEN.id: "GREEN",
        stix2.TLP_AMBER.id: "AMBER",
        stix2.TLP_RED.id: "RED",
    }
    assert known.items() <= MARKINGS.items()
    assert evaluate(tlp, list(MARKINGS)) == list(MARKINGS.values())


@pytest.mark.parametrize(
    ("vocabulary", "oracle", "words"),
    [
        ("confidence-none-low-med-high", scales.none_low_med_high_to_value, ["None", "Low", "Med", "High"]),
        ("confidence-0-10", scales.zero_ten_to_value, [str(n) for n in range(11)]),
        ("confidence-admiralty", scales.admiralty_credibility_to_value,
         ["5 - Improbable", "4 - Doubtful", "3 - Possibly True", "2 - Probably True", "1 - Confirmed by other sources"]),
        ("confidence-wep", scales.wep_to_value,
         ["Impossible", "Highly Unlikely/Almost Certainly Not", "Unlikely/Probably Not", "Even Chance", "Likely/Probable",
          "Highly likely/Almost Certain", "Certain"]),
        ("confidence-dni", scales.dni_to_value,
         ["Almost No Chance / Remote", "Very Unlikely / Highly Improbable", "Unlikely / Improbable",
          "Roughly Even Chance / Roughly Even Odds", "Likely / Probable", "Very Likely / Highly Probable", "Almost Certain / Nearly Certain"]),
    ],
)  # fmt: skip
def test_words_of_confidence_mean_the_numbers_of_the_standard(
    vocabulary: str, oracle: object, words: list[str]
) -> None:
    assert evaluate(VOCABULARIES[vocabulary].canonical, words) == [str(oracle(word)) for word in words]  # type: ignore[operator]


def test_every_vocabulary_of_stix_is_there_with_every_value() -> None:
    ours = {frozenset(v.values) for v in VOCABULARIES.values() if v.source.startswith("STIX 2.1 §10")}
    theirs = {
        frozenset(str(value) for value in values)
        for name, values in vars(stix2.v21.vocab).items()
        if name.isupper() and isinstance(values, list)
    }
    assert ours == theirs
    assert len(ours) == 32


def test_an_open_vocabulary_keeps_other_words_and_a_closed_one_does_not() -> None:
    assert evaluate(VOCABULARIES["malware-type-ov"].canonical, ["Remote Access Trojan", " odd "]) == [
        "remote-access-trojan",
        "odd",
    ]
    assert evaluate(VOCABULARIES["opinion-enum"].canonical, ["Strongly Agree", "odd"]) == [
        "strongly-agree",
        None,
    ]


def test_synonyms_lead_to_values_and_values_to_themselves() -> None:
    for vocabulary in VOCABULARIES.values():
        assert set(vocabulary.synonyms.values()) <= set(vocabulary.values), vocabulary.name
        assert all(word == word.lower() for word in vocabulary.synonyms), vocabulary.name
        if not vocabulary.name.startswith("confidence"):  # there a value may also be a word of the scale
            values = list(vocabulary.values)
            assert evaluate(vocabulary.canonical, values) == values, vocabulary.name


def test_misp_types_are_misps_and_kinds_are_ours() -> None:
    described = pymisp.AbstractMISP().describe_types["types"]
    assert set(TYPES) <= set(described)
    assert set(TYPES.values()) <= set(KINDS)
    # Everything MISP itself would detect on the network or on disk has a kind.
    for name in (
        "ip-src",
        "ip-dst",
        "domain",
        "hostname",
        "url",
        "md5",
        "sha1",
        "sha256",
        "filename",
        "email-src",
        "mutex",
        "AS",
    ):
        assert name in TYPES


def test_kind_words_name_kinds() -> None:
    assert set(VOCABULARIES["indicator-kind"].values) <= set(KINDS)


def test_registering_twice_is_harmless_and_cursors_share_it() -> None:
    connection = duckdb.connect()
    register(connection)
    register(connection.cursor())
    found = (
        connection.cursor()
        .execute(f"SELECT {KINDS['ipv6'].canonical('v')} FROM (SELECT '::1' AS v)")
        .fetchone()
    )
    assert found == ("::1",)


def test_functions_work_where_the_configuration_is_locked_and_values_are_hostile() -> None:
    connection = duckdb.connect()
    register(connection)
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    hostile = [
        "é" * 2000 + ".com",
        "1" * 50 + ":",
        "bc1" + "q" * 80,
        "::ffff:999.1.1.1",
        "xn--\U0001f4a9.com",
        "a:" * 40 + "/64",
    ]
    for value in hostile:
        for sql in (recognise("v"), *(kind.canonical("v") for kind in KINDS.values())):
            connection.execute(f"SELECT {sql} FROM (SELECT ?::VARCHAR AS v)", [value]).fetchone()


def test_json_of_observables_escapes_what_json_must() -> None:
    from engine.types import pattern_observables

    [found] = evaluate(pattern_observables, ["[file:name = 'a\"b\\\\c']"])
    assert json.loads(found) == [{"type": "filename", "value": 'a"b\\c'}]
