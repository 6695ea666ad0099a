"""Options of a step or a rule as inputs: what its JSON Schema asks for, as data that a component draws."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.widgets.form import resolved

Input = dict[str, Any]

# What the words of a choice mean to a person, by option and word.
WORDS = {
    ("on_failure", "reject"): "Quarantine",
    ("on_failure", "keep"): "Keep it as it is",
    ("on_failure", "null"): "Leave it empty",
    ("otherwise", "reject"): "Quarantine",
    ("otherwise", "keep"): "Keep them",
    ("otherwise", "null"): "Leave them empty",
    ("otherwise", "value"): "Replace by one value",
    ("of", "read"): "read",
    ("of", "accepted"): "accepted",
}


def inputs(
    schema: dict[str, Any], values: Mapping[str, Any], choices: Mapping[str, list[str]]
) -> list[Input]:
    """One input per option. `choices` are the words on offer for options that name a field, kind or vocabulary."""
    found: list[Input] = []
    for name, told in schema.get("properties", {}).items():
        told = resolved(told, schema)
        value = values.get(name, told.get("default"))
        found.append(
            {
                "name": name,
                "label": told.get("title") or name.replace("_", " ").capitalize(),
                "help": told.get("description") or "",
                "required": name in schema.get("required", ()),
                "hint": str(told["examples"][0]) if told.get("examples") else "",
                **_form(name, told, value, choices),
            }
        )
    return found


def taken(schema: dict[str, Any], values: Mapping[str, Any], name: str, raw: Any) -> dict[str, Any]:
    """The options with one of them as a person typed it; what is empty or at its default is left out."""
    told = resolved(schema.get("properties", {}).get(name, {}), schema)
    value = _typed(told, raw)
    others = {each: kept for each, kept in values.items() if each != name}
    required = name in schema.get("required", ())
    if value is None or (value == told.get("default") and not required) or (value in ("", []) and required):
        return others
    return {**others, name: value}


def _form(name: str, told: dict[str, Any], value: Any, choices: Mapping[str, list[str]]) -> Input:
    kind = told.get("type")
    if "enum" in told:
        options = [[word, WORDS.get((name, str(word)), str(word))] for word in told["enum"]]
        return {"as": "select", "options": options, "value": value}
    if name in choices and kind != "array":
        empty = [["", "none"]] if told.get("default", "") is None or "default" not in told else []
        options = [*empty, *([word, word] for word in choices[name])]
        return {"as": "select", "options": options, "value": value or ""}
    if kind == "boolean":
        return {"as": "check", "value": bool(value)}
    if kind == "object":
        return {"as": "pairs", "value": len(value or {})}
    if kind == "array":
        lines = [value] if isinstance(value, str) else list(value or [])
        if name in choices:
            return {"as": "many", "options": choices[name], "value": lines}
        return {"as": "lines", "value": "\n".join(map(str, lines))}
    shown = "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
    return {"as": "number" if kind in ("integer", "number") else "text", "value": shown}


def _typed(told: dict[str, Any], raw: Any) -> Any:
    kind = told.get("type")
    if kind == "boolean":
        return bool(raw)
    if kind == "array":
        given = raw.splitlines() if isinstance(raw, str) else list(raw or [])
        return [line for line in given if str(line).strip()] or None
    if raw in (None, ""):
        return None
    if kind in ("integer", "number") or (kind is None and _is_number(raw)):
        return _number(raw)
    return raw


def _is_number(raw: Any) -> bool:
    try:
        float(raw)
    except (TypeError, ValueError):
        return False
    return True


def _number(raw: Any) -> Any:
    """The number a person typed; what is none stays text, for the engine to say so."""
    try:
        number = float(raw)
    except (TypeError, ValueError):
        return raw
    return int(number) if number.is_integer() else number
