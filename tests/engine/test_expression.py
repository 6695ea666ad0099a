"""Expressions by users: what is allowed works, what is not is refused by name, and nothing gets out."""

from __future__ import annotations

import duckdb
import pytest

from engine import types
from engine.expression import expression
from engine.functions import FUNCTIONS
from engine.steps import BadMapping
from engine.steps.tree import sql

HOSTILE = [
    "read_text('/etc/passwd')",
    "read_csv('/etc/passwd')",
    "(SELECT content FROM read_text('/etc/passwd'))",
    "(SELECT 1)",
    "EXISTS (SELECT 1)",
    "a IN (SELECT b FROM other)",
    "ARRAY(SELECT 1)",
    "getenv('HOME')",
    "getvariable('x')",
    "current_setting('memory_limit')",
    "current_user",
    "current_database()",
    "current_date",
    "now()",
    "random()",
    "uuid()",
    "nextval('s')",
    "a'; DROP TABLE records; --",
    "a; DROP TABLE records",
    "PRAGMA database_list",
    "SET memory_limit = '1GB'",
    "ATTACH 'x.db'",
    "COPY source TO 'x'",
    "SELECT 1",
    "a FROM source",
    "a UNION SELECT 1",
    "count(*)",
    "sum(a::int)",
    "any_value(a)",
    "row_number() OVER ()",
    "first(a) OVER (ORDER BY b)",
    "unnest([1, 2])",
    "*",
    "COLUMNS('.*')",
    "source.a",
    "source",
    "records.indicator.value",
    "?",
    "$1",
    ":name",
    "\"read_text\"('/etc/passwd')",
    "main.read_text('/etc/passwd')",
    "system.main.getenv('HOME')",
    "repeat(a, 1000000000)",
    "range(1000000000)",
    "lpad(a, 1000000000, 'x')",
    "rpad(a, b::int, 'x')",
    "format('{:1000000000d}', 1)",
    "regexp_matches(a, b)",
    "regexp_matches(a, '(')",
    "a ~ b",
    "list_transform([1], x -> (SELECT x))",
    "cast(a AS blob)",
    "a::my_type",
    "lower(a) FILTER (WHERE true)",
    "lower(DISTINCT a)",
    "try(a)",
    "spire_ipv6(a)",
    "{'a': 1}",
    "a.b",
    "",
    "  ",
    "-- only a comment",
    "a b",
    "lower(",
    "'unterminated",
    "\x00",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_not_a_plain_scalar_expression_is_refused(text: str) -> None:
    with pytest.raises(BadMapping) as refusal:
        expression(text, "field value", {"a": "VARCHAR", "b": "VARCHAR"})
    assert refusal.value.where.startswith("field value: ")


@pytest.mark.parametrize(
    "text",
    [
        "(" * 10_000 + "a" + ")" * 10_000,
        "(" * 60 + "a" + ")" * 60,
        "not " * 1900 + "a",
        "- " * 1900 + "1",
        "[" * 100 + "a" + "]" * 100,
        "case when a then " * 100 + "1" + " end" * 100,
        "a || " * 900 + "a || " * 900 + "a",
        "a" * 20_000,
        "coalesce(" * 49 + "a" + ")" * 49 + " || a" * 1000,
    ],
)
def test_depth_and_length_end_in_an_error_or_a_plan_but_never_in_a_crash(text: str) -> None:
    refused = ""
    try:
        expression(text, "w")
    except BadMapping as refusal:
        refused = refusal.where
    assert refused == "" or refused.startswith("w: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lowr(a)", "the function lowr is not allowed. Did you mean lower?"),
        ("now()", "the function now is not allowed, because results would differ from one run to the next."),
        ("lower(nam)", "there is no field nam. Did you mean name?"),
        ("a; b", "`;` is not allowed; give one expression."),
        ("source.a", "write a, without source before it."),
        ("a::blob", "the type BLOB is not allowed."),
        ("regexp_matches(a, name)", "a pattern must be written out as text, not computed."),
        ("regexp_matches(a, '(')", "the pattern '(' is not valid: missing ): (."),
        (
            "lpad(a, 5000, ' ')",
            "lpad fills up to at most 1000 characters, and needs that number written out.",
        ),
    ],
)
def test_the_error_names_the_token_and_what_comes_nearest(text: str, message: str) -> None:
    with pytest.raises(BadMapping) as refusal:
        expression(text, "field x", {"a": "VARCHAR", "name": "VARCHAR"})
    assert refusal.value.where.startswith(f"field x: {message}")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("lower(a)", "x,y"),
        ("upper(A)", "X,Y"),
        ("a || '-' || b", "X,y-7"),
        ("case when b = '7' then 'seven' else a end", "seven"),
        ("coalesce(nullif(b, '7'), 'none')", "none"),
        ("(b::int + 1) * 2 // 3", 5),
        ("b::decimal(10, 2) / 2", 3.5),
        ("string_split(a, ',')[2]", "y"),
        ("a[1:1]", "X"),
        ("array_to_string(list_transform(string_split(a, ','), x -> upper(x)), ';')", "X;Y"),
        ("list_transform(string_split(a, ','), lambda x: x || b)", ["X7", "y7"]),
        ("regexp_extract(a, '([a-z])', 1)", "y"),
        ("regexp_replace(a, '[xX]', 'z')", "z,y"),
        ("extract(year from '2024-01-31'::timestamp)", 2024),
        ("strftime('2024-01-31'::date, '%d.%m.%Y')", "31.01.2024"),
        ("b in ('7', '8') and a like 'X%'", True),
        ("b::int between 1 and 10", True),
        ("a is distinct from b", True),
        ("json_extract_string('{\"k\": \"v\"}', '$.k')", "v"),
        ("'{\"k\": [1]}'::json ->> '$.k[0]'", "1"),
        ("if(b = '7', 'yes', 'no')", "yes"),
        ("concat_ws('/', a, null, b)", "X,y/7"),
        ("lpad(b, 3, '0')", "007"),
        ("length(a) % 2 = 1", True),
        ("'it''s -- not a comment; '", "it's -- not a comment; "),
        ("/* a comment */ a -- another", "X,y"),
        ("'2024-01-31'::timestamp + interval 1 day > '2024-01-31'::timestamp", True),
        ("sha256(b)", "7902699be42c8a8e46fbbb4501726517e86b22c56a189f7625a6da49081b2451"),
    ],
)
def test_what_is_allowed_gives_what_duckdb_gives(text: str, value: object) -> None:
    checked = expression(text, "field x")
    database = duckdb.connect()
    row = database.execute(f"SELECT {sql(checked.tree)} FROM (SELECT 'X,y' AS a, '7' AS b)").fetchone()
    assert row == (value,)


def test_columns_are_listed_in_order_without_the_parameters_of_lambdas() -> None:
    checked = expression("list_filter(string_split(b, ','), x -> x <> a and x <> b)", "w")
    assert checked.columns == ("b", "a")


def test_a_cast_becomes_one_that_gives_null() -> None:
    assert (
        sql(expression("a::int + cast(b as bigint)", "w").tree)
        == 'TRY_CAST("a" AS INT) + TRY_CAST("b" AS BIGINT)'
    )


def test_only_what_a_row_can_make_raise_is_marked_so() -> None:
    assert not expression("lower(a) || 'x'", "w").can_raise
    assert not expression("case when a = 'x' then b end", "w").can_raise
    for text in ("sqrt(a::double)", "a::int + 1", "a->>'$.x'", "unhex(a)", "strptime(a, '%Y')"):
        assert expression(text, "w").can_raise, text


def test_every_function_of_the_catalogue_exists_in_duckdb_or_is_syntax() -> None:
    database = duckdb.connect()
    known = {
        n for (n,) in database.execute("SELECT DISTINCT function_name FROM duckdb_functions()").fetchall()
    }
    assert set(FUNCTIONS) - known == {"coalesce", "if", "ifnull", "nullif", "extract", "iff"} & (
        set(FUNCTIONS) - known
    )


def test_no_function_of_the_catalogue_reads_files_settings_or_clocks() -> None:
    database = duckdb.connect()
    types.register(database)
    unstable = {
        name
        for (name,) in database.execute(
            "SELECT DISTINCT function_name FROM duckdb_functions() "
            "WHERE stability <> 'CONSISTENT' OR has_side_effects OR function_type NOT IN ('scalar', 'macro')"
        ).fetchall()
    }
    scalar = {
        n
        for (n,) in database.execute(
            "SELECT function_name FROM duckdb_functions() WHERE function_type = 'scalar'"
        ).fetchall()
    }
    assert {name for name in FUNCTIONS if name in unstable and name not in scalar} == set()
    volatile = {
        n
        for (n,) in database.execute(
            "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type = 'scalar' AND has_side_effects"
        ).fetchall()
    }
    assert set(FUNCTIONS) & volatile == set()
