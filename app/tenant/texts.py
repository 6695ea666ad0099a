"""Mappings and pipelines as text: YAML to keep, SQL to read and edit. Both come back the same."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from collections.abc import Mapping as MappingABC
from typing import Any, Literal

import yaml

from app.problems import Problem
from engine.mapping import from_yaml
from engine.model import Mapping, Pipeline, TargetModel
from engine.sqltext import HEADER, from_sql, to_sql

Form = Literal["yaml", "sql"]
Models = MappingABC[str, TargetModel]
# What a pipeline is beside its mappings.
PIPELINE = "-- pipeline: "


def pipeline_text(pipeline: Pipeline, form: Form, models: Models) -> str:
    """A pipeline whole. What is left at its default is left out."""
    plain = pipeline.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    if form == "yaml":
        return _dumped(plain)
    rest = {name: value for name, value in plain.items() if name != "mappings"}
    head = f"{PIPELINE}{json.dumps(rest, ensure_ascii=True)}\n"
    return head + mappings_text(pipeline.mappings, form, models)


def pipeline_of(text: str, models: Models) -> Pipeline:
    """The pipeline a text holds, in either form; a problem that says where it holds none."""
    if not _is_sql(text):
        return Pipeline.model_validate(_loaded(text, "This is not YAML."))
    heads = [line for line in text.split("\n") if line.startswith(PIPELINE)]
    if len(heads) != 1:
        raise Problem(
            422, "This SQL is a mapping, not a pipeline.", where=f"no line begins with `{PIPELINE.strip()}`",
            action="Take it into the draft of a pipeline, or export the pipeline whole.",
        )  # fmt: skip
    try:
        rest = dict(json.loads(heads[0].removeprefix(PIPELINE)))
    except (ValueError, TypeError, RecursionError):
        raise Problem(
            422, f"The line `{PIPELINE.strip()}` was changed.", action="Leave it as it was exported."
        ) from None
    body = "\n".join(line for line in text.split("\n") if line != heads[0])
    return Pipeline.model_validate({**rest, "mappings": mappings_of(body, models)})


def mappings_text(mappings: Sequence[Mapping], form: Form, models: Models) -> str:
    """Mappings in their order."""
    if form == "sql":
        return "\n".join(to_sql(each, models).rstrip("\n") + ";\n" for each in mappings)
    plain = [each.model_dump(mode="json", by_alias=True, exclude_defaults=True) for each in mappings]
    return _dumped({"mappings": plain})


def mappings_of(text: str, models: Models) -> tuple[Mapping, ...]:
    """The mappings of a text: SQL as exported, or YAML of one mapping, of a list of them, or of a pipeline."""
    if _is_sql(text):
        return tuple(from_sql(piece, models) for piece in _pieces(text))
    plain = _loaded(text, "This mapping is not YAML.")
    if isinstance(plain, dict) and "mappings" in plain:
        plain = plain["mappings"]
    return tuple(_mapping(each) for each in (plain if isinstance(plain, list) else [plain]))


def _mapping(plain: object) -> Mapping:
    """A mapping written either way: its fields as a list, as exports have them, or by name."""
    if isinstance(plain, dict) and isinstance(plain.get("fields"), dict):
        return from_yaml(_dumped(plain))
    return Mapping.model_validate(plain)


def _is_sql(text: str) -> bool:
    return any(line.startswith((HEADER, PIPELINE)) for line in text.split("\n"))


def _pieces(text: str) -> Iterator[str]:
    """The SQL of each mapping. One begins with the comments above it, among which is the line that carries it."""
    pieces: list[list[str]] = []
    head: list[str] = []
    for line in text.split("\n"):
        if line.startswith("--"):
            head.append(line)
            continue
        if not pieces or any(each.startswith(HEADER) for each in head):
            pieces.append([])
        pieces[-1] += [*head, line]
        head = []
    for piece in pieces:
        yield "\n".join(piece).strip().removesuffix(";")


def _dumped(plain: Any) -> str:
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=100)


def _loaded(text: str, refusal: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark else ""
        raise Problem(422, refusal, where=where, action="Correct it there.") from None
