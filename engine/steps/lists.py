"""Steps on JSON and lists."""

from __future__ import annotations

import re

from pydantic import Field, field_validator

from engine.model import FieldType
from engine.steps.catalogue import Context, Options, step
from engine.steps.tree import Expr, call, choose, differ, listed

# $.name, $."any name", $[0], $[-1]; no wildcards, which would make a list of it.
PATH = re.compile(r"\$(?:\.[A-Za-z_][A-Za-z0-9_-]*|\.\"[^\"\\]+\"|\[(?:\d+|-\d+|#-\d+)\])*")


def json_path_of(path: str) -> str:
    """The path as DuckDB writes it: names quoted, [-1] as [#-1]; `a.b[0]` is short for `$.a.b[0]`."""
    full = path if path.startswith("$") else f"${path}" if path.startswith("[") else f"$.{path}"
    if not PATH.fullmatch(full):
        raise ValueError(f"{path!r} is not a path like $.name[0].other")
    full = re.sub(r"\[-(\d+)\]", r"[#-\1]", full)
    return re.sub(r"\.([A-Za-z_][A-Za-z0-9_-]*)", r'."\1"', full)


class JsonPath(Options):
    path: str = Field(min_length=1, max_length=500, title="Path", examples=["$[0].source_name"])

    @field_validator("path")
    @classmethod
    def _is_a_path(cls, path: str) -> str:
        json_path_of(path)
        return path


@step(
    "json_path", title="Take from JSON", options=JsonPath, group="lists",
    summary="Takes the value at a path inside a JSON object or list. Nothing where the path leads nowhere.",
)  # fmt: skip
def json_path(value: Expr, options: JsonPath, context: Context) -> Expr:
    return call("try", call("json_extract_string", value, json_path_of(options.path)))


def as_texts(value: Expr, context: Context) -> Expr:
    """A list of texts from a JSON list; any other text is a list of one, blank is nothing."""
    value = context.once(value)
    return choose(
        (call("starts_with", value, "["), call("try", call("from_json", value, '["VARCHAR"]'))),
        (call("starts_with", call("trim", value), "["), call("try", call("from_json", value, '["VARCHAR"]'))),
        (differ(call("trim", value), ""), listed([value])),
    )  # fmt: skip


@step(
    "texts", title="Read a JSON list", gives=FieldType.TEXTS, group="lists",
    summary="Reads a JSON list as a list of texts; a single text becomes a list of one.",
    loses=True, failure="is not a JSON list",
)  # fmt: skip
def texts(value: Expr, options: Options, context: Context) -> Expr:
    return as_texts(value, context)


class JoinList(Options):
    between: str = Field(default=", ", max_length=50, alias="with", title="Put between them")


@step(
    "join", title="Join a list", options=JoinList, takes=FieldType.TEXTS, group="lists",
    summary="Makes one text of a list, with a text between its entries.",
)  # fmt: skip
def join(value: Expr, options: JoinList, context: Context) -> Expr:
    return call("nullif", call("array_to_string", value, options.between), "")


class Entry(Options):
    number: int = Field(default=1, title="Which entry", description="1 is the first, -1 the last.")

    @field_validator("number")
    @classmethod
    def _counts_from_one(cls, number: int) -> int:
        if number == 0:
            raise ValueError("entries count from 1; use -1 for the last")
        return number


@step(
    "entry", title="Take one entry", options=Entry, takes=FieldType.TEXTS, group="lists",
    summary="Takes one entry of a list by position.",
)  # fmt: skip
def entry(value: Expr, options: Entry, context: Context) -> Expr:
    return call("list_extract", value, options.number)
