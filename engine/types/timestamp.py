"""Moments in time in SQL: ISO 8601 in its spellings, epochs and named months, all as UTC TIMESTAMP.

The order of day and month is never guessed: `03/04/2024` is NULL until somebody says which it is.
"""

from __future__ import annotations

from typing import Literal

from engine.types.sql import full, let, literal, literals

Order = Literal["ymd", "dmy", "mdy"]

DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
CLOCK = r"[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?"
ZONE = r"(?:Z|z| ?UTC| ?GMT| ?[+-][0-9]{2}(?::?[0-9]{2})?)"
ISO = rf"{DATE}(?:[Tt ]{CLOCK}{ZONE}?)?"

# Spellings in which the month has a name or the zone a sign, so that nothing is to be guessed. RFC 2822 first.
NAMED = (
    "%a, %d %b %Y %H:%M:%S %z", "%d %b %Y %H:%M:%S %z", "%a, %d %b %Y %H:%M:%S", "%d %b %Y %H:%M:%S", "%d %b %Y %H:%M",
    "%d %b %Y", "%d-%b-%Y", "%d-%b-%Y %H:%M:%S", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%b %d, %Y %H:%M:%S",
    "%B %d, %Y %H:%M:%S", "%a %b %d %H:%M:%S %Y", "%a %b %d %H:%M:%S %z %Y", "%d/%b/%Y:%H:%M:%S %z", "%d/%b/%Y",
    "%b %d, %Y %I:%M %p", "%B %d, %Y %I:%M %p", "%d.%b.%Y", "%Y-%b-%d",
)  # fmt: skip
NUMERIC: dict[Order, str] = {"ymd": "%Y{0}%m{0}%d", "dmy": "%d{0}%m{0}%Y", "mdy": "%m{0}%d{0}%Y"}
SHORT: dict[Order, str] = {"ymd": "%y{0}%m{0}%d", "dmy": "%d{0}%m{0}%y", "mdy": "%m{0}%d{0}%y"}
CLOCKS = ("", " %H:%M:%S", " %H:%M", " %I:%M:%S %p", " %I:%M %p", "T%H:%M:%S", " %H:%M:%S.%f")


def timestamp(value: str) -> str:
    """SQL: TIMESTAMP in UTC of a VARCHAR expression in any unambiguous spelling; NULL otherwise.

    ISO 8601 (also basic, with a comma, without seconds), epoch in seconds, milli- or microseconds,
    `YYYY/MM/DD`, RFC 2822 and named months. A moment without a zone counts as UTC.
    """

    def body(text: str) -> str:
        # DuckDB casts what is spelt plainly; the rest is put into that spelling first.
        plain = full(text, rf"{DATE}[T ][0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}(?:\.[0-9]{{1,6}})?Z?")
        cleaned = (
            rf"regexp_replace(regexp_replace(regexp_replace(replace(upper({text}), ',', '.'), ' ?(UTC|GMT|Z)$', ''), "
            rf"'([+-][0-9]{{2}}):?([0-9]{{2}})$', '\1:\2'), '(\.[0-9]{{6}})[0-9]+', '\1')"
        )
        clocked = rf"regexp_replace({cleaned}, '^([0-9-]+[T ][0-9]{{2}}:[0-9]{{2}})( ?[+-]|$)', '\1:00\2')"
        spaced = rf"regexp_replace({clocked}, ' ([+-])', '\1')"
        iso = f"CASE WHEN length({text}) = 10 THEN TRY_CAST({text} AS TIMESTAMP) ELSE {_shifted(spaced)} END"
        return (
            f"CASE WHEN {plain} THEN TRY_CAST({text} AS TIMESTAMP) WHEN {full(text, ISO)} THEN {iso} "
            f"WHEN {full(text, '[0-9]+(?:[.][0-9]*)?')} THEN {_number(text)} "
            f"WHEN {full(text, '[0-9]{4}[/.].*')} THEN {_ordered(text, 'ymd')} "
            f"WHEN {full(text, '[0-9]{8}T[0-9]{6}Z?')} THEN try_strptime(rtrim({text}, 'Z'), '%Y%m%dT%H%M%S') "
            f"WHEN regexp_matches({text}, '[A-Za-z]{{3}}') THEN {_named(text)} END"
        )

    return let("t", f"trim({value})", body)


def _shifted(text: str) -> str:
    """SQL: the moment in UTC. A cast to TIMESTAMP would drop the offset without a word."""
    return let(
        "z",
        text,
        lambda t: (
            f"CASE WHEN regexp_matches({t}, '[+-][0-9:]{{2,6}}$') AND contains({t}, ':') "
            f"THEN make_timestamp(epoch_us(TRY_CAST({t} AS TIMESTAMPTZ))) ELSE TRY_CAST({t} AS TIMESTAMP) END"
        ),
    )


def _number(text: str) -> str:
    """SQL: epochs by their number of digits, and ISO 8601 basic dates, which are shorter or much longer."""
    whole = f"split_part({text}, '.', 1)"
    number = f"TRY_CAST({text} AS DOUBLE)"
    micro = f"TRY_CAST({whole} AS BIGINT)"
    return (
        f"CASE length({whole}) WHEN 8 THEN try_strptime({whole}, '%Y%m%d') "
        f"WHEN 14 THEN try_strptime({whole}, '%Y%m%d%H%M%S') "
        f"WHEN 9 THEN make_timestamp(CAST({number} * 1000000 AS BIGINT)) "
        f"WHEN 10 THEN make_timestamp(CAST({number} * 1000000 AS BIGINT)) "
        f"WHEN 12 THEN make_timestamp({micro} * 1000) WHEN 13 THEN make_timestamp({micro} * 1000) "
        f"WHEN 16 THEN make_timestamp({micro}) WHEN 19 THEN make_timestamp({micro} // 1000) END"
    )


def _named(text: str) -> str:
    tidy = rf"regexp_replace(regexp_replace(regexp_replace({text}, '\s+', ' ', 'g'), '(\d)(st|nd|rd|th)\b', '\1'), ' ?(GMT|UTC|UT|Z)$', ' +0000')"
    both = f"[{literals(NAMED)}]"
    bare = f"regexp_replace({tidy}, ' \\+0000$', '')"
    return f"coalesce(try_strptime({tidy}, {both}), try_strptime({bare}, {both}))::TIMESTAMP"


def _ordered(text: str, order: Order) -> str:
    tidy = rf"regexp_replace(regexp_replace({text}, '[./-]', '/', 'g'), ' ?(UTC|GMT|Z)$', '')"
    formats = [
        form.format("/") + clock
        for form in (SHORT[order], NUMERIC[order])
        for clock in CLOCKS
        if "." not in clock
    ]
    return f"try_strptime({tidy}, [{literals(formats)}])"


def timestamp_ordered(value: str, order: Order) -> str:
    """SQL: as `timestamp`, reading numeric dates such as 03/04/2024 in the order somebody has chosen."""
    numeric = r"[0-9]{1,4}[./-][0-9]{1,2}[./-][0-9]{2,4}(?:[ T].*)?"
    unclear = f"regexp_full_match(trim({value}), {literal(numeric)}) AND NOT regexp_matches({value}, '^\\s*[0-9]{{4}}')"
    return f"CASE WHEN {unclear} THEN {let('q', f'trim({value})', lambda t: _ordered(t, order))} ELSE {timestamp(value)} END"


def timestamp_formatted(value: str, form: str) -> str:
    """SQL: TIMESTAMP of a value in one given strptime format; NULL where it is not."""
    return f"TRY_CAST(try_strptime(trim({value}), {literal(form)}) AS TIMESTAMP)"


def date_order(value: str) -> str:
    """SQL: the order a numeric date must have: `ymd`, `dmy`, `mdy`, `either` where both fit, or NULL."""

    def body(text: str) -> str:
        part = [
            f"TRY_CAST(regexp_extract({text}, '^([0-9]+)[./-]([0-9]+)[./-]', {i}) AS INTEGER)" for i in (1, 2)
        ]
        return (
            f"CASE WHEN {full(text, '[0-9]{4}[./-][0-9]{1,2}[./-][0-9]{1,2}(?:[ T].*)?')} THEN 'ymd' "
            f"WHEN {full(text, '[0-9]{1,2}[./-][0-9]{1,2}[./-](?:[0-9]{2}|[0-9]{4})(?:[ T].*)?')} THEN "
            f"CASE WHEN {part[0]} > 31 OR {part[1]} > 31 OR ({part[0]} > 12 AND {part[1]} > 12) THEN NULL "
            f"WHEN {part[0]} > 12 THEN 'dmy' WHEN {part[1]} > 12 THEN 'mdy' ELSE 'either' END END"
        )

    return let("g", f"trim({value})", body)
