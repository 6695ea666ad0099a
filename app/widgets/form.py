"""Forms from a JSON Schema: the engine says what a step, a rule or a connector asks for, and this draws it."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import Any

import streamlit as st

from app.widgets import words

# Words of a property's name that are written in capitals.
SHORT = {word: word.upper() for word in ("tls", "ca", "url", "api", "id", "sql", "tlp", "misp", "ssh")}
FROM_FIELDS = {"kind_field", "value_field", "within"}
# Of what form a text is that stands for a time.
TIMES = {"date-time": "2026-01-31T06:00:00Z", "date": "2026-01-31"}


def form(
    schema: dict[str, Any],
    values: dict[str, Any],
    *,
    key: str,
    fields: Collection[str] = (),
    columns: int = 1,
    shown: Collection[str] | None = None,
    credentials: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Draw one input per property and give what they hold; what stands at its default is left out.

    `fields` are the source fields on offer, for properties that name some. Properties marked `further` in the
    schema are folded away, unless they hold something; where `shown` is given, all but those are. `credentials`
    are those on offer in the place of a typed secret: names by id.
    """
    told = {name: resolved(each, schema) for name, each in schema.get("properties", {}).items()}
    folded = {name for name, each in told.items() if each.get("further") and name not in values}
    if shown is not None:
        folded = told.keys() - set(shown)
    main = {name: each for name, each in told.items() if name not in folded}
    found = _drawn(main, schema, values, key, fields, columns, credentials or {})
    if folded:
        with st.expander("Further settings"):
            rest = {name: told[name] for name in told if name in folded}
            found |= _drawn(rest, schema, values, key, fields, columns, credentials or {})
    return found


def _drawn(
    properties: dict[str, Any],
    schema: dict[str, Any],
    values: dict[str, Any],
    key: str,
    fields: Collection[str],
    columns: int,
    credentials: Mapping[str, str],
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    cells: list[Any] = []
    for place, (name, told) in enumerate(properties.items()):
        if place % columns == 0:
            # Row by row, so that what stands side by side begins at one height and Tab goes as one reads.
            cells = st.columns(columns, gap="medium") if columns > 1 else [st.container()]
        required = name in schema.get("required", ())
        told = {**told, "required": True} if required else told
        with cells[place % columns]:
            value = _input(name, told, values.get(name, told.get("default")), f"{key}-{name}", list(fields))
            if credentials and told.get("format") == "password":
                picked = _credential(credentials, values.get(name), f"{key}-{name}-credential")
                # What is typed takes the place of the credential that was there, and not of one just chosen.
                value = value if value and picked == values.get(name) else picked or value
        if (value is not None and value != told.get("default")) or (required and value not in (None, "", [])):
            found[name] = value
    return found


def _credential(offered: Mapping[str, str], value: Any, key: str) -> dict[str, str] | None:
    """A reference to a credential in the place of the secret above it, if one is chosen."""
    chosen = value["credential"] if isinstance(value, dict) else ""
    options = ["", *offered]
    at = options.index(chosen) if chosen in options else 0
    picked = st.selectbox(
        "Use a credential", options, index=at, key=key, label_visibility="collapsed",
        format_func=lambda id: f"Use {offered[id]}" if id else "or use a credential",
    )  # fmt: skip
    return {"credential": picked} if picked else None


def missing(schema: dict[str, Any], values: dict[str, Any]) -> list[str]:
    """Labels of required properties without a value."""
    properties = schema.get("properties", {})
    return [label_of(name, properties[name]) for name in schema.get("required", ()) if name not in values]


def label_of(name: str, told: dict[str, Any]) -> str:
    """What a property is called: its title, unless that was made from its name, in capitals."""
    label = str(told.get("title") or "")
    if label.lower() in ("", name.replace("_", " ")):
        label = " ".join(SHORT.get(word, word) for word in name.split("_"))
        label = label[:1].upper() + label[1:]
    return label


def resolved(told: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """A property with its references and its `or nothing` taken apart."""
    if "$ref" in told:
        told = {**schema["$defs"][told["$ref"].rsplit("/", 1)[1]], **told}
    options = [option for option in told.get("anyOf", []) if option.get("type") != "null"]
    if options:
        # Where a list and a single value are both taken, the list says more.
        best = next((option for option in options if option.get("type") == "array"), options[0])
        told = {**resolved(best, schema), **{k: v for k, v in told.items() if k != "anyOf"}}
        told["optional"] = True
    return told


def _input(name: str, told: dict[str, Any], value: Any, key: str, fields: list[str]) -> Any:
    label = label_of(name, told)
    # It is read as markdown, and patterns such as **/*.csv stand in it.
    help = words.plain(told["description"]) if told.get("description") else None
    kind, hint = told.get("type"), _hint(told)
    if told.get("lines"):
        typed, height = value if isinstance(value, str) else "", 26 * int(told["lines"])
        # What is secret is shown while it is typed, and to nobody who looks over a shoulder later.
        secret = told.get("format") == "password"
        place = st.container(key=f"secret-{key}") if secret else st.container()
        return (
            place.text_area(label, value=typed, key=key, help=help, height=height, placeholder=hint) or None
        )
    if told.get("format") == "password" or told.get("writeOnly"):
        typed = value if isinstance(value, str) else ""
        return (
            st.text_input(label, value=typed, key=key, help=help, type="password", placeholder=hint) or None
        )
    if "enum" in told:
        options, meanings = list(told["enum"]), told.get("meanings", {})
        return st.selectbox(
            label, options, index=options.index(value) if value in options else 0, key=key, help=help,
            format_func=lambda word: f"{word}: {meanings[word]}" if word in meanings else str(word),
        )  # fmt: skip
    if kind == "boolean":
        return st.checkbox(label, value=bool(value), key=key, help=help)
    if kind in ("integer", "number"):
        step = 1 if kind == "integer" else None
        number = st.number_input(
            label, value=value, step=step, key=key, help=help, format="%d" if step else "%g"
        )
        return int(number) if number is not None and kind == "integer" else number
    if kind == "array":
        if name == "fields" and fields:
            return st.multiselect(
                label, fields, default=[f for f in value or [] if f in fields], key=key, help=help
            )
        lines = [value] if isinstance(value, str) else value or []
        text = st.text_area(
            label, value="\n".join(map(str, lines)), key=key, height=104, help=help,
            placeholder=", ".join(filter(None, ("one a line", hint))),
        )  # fmt: skip
        return [line for line in text.splitlines() if line.strip()] or None
    if kind == "object":
        text = st.text_area(
            label, value=_pairs(value), key=key, height=104, help=help, placeholder="one a line: name = value"
        )
        return _read_pairs(text) or None
    if name in FROM_FIELDS and fields:
        options = ["", *fields]
        at = options.index(value) if value in options else 0
        return st.selectbox(label, options, index=at, key=key, help=help) or None
    shown = value if isinstance(value, str) or value is None else json.dumps(value)
    return st.text_input(label, value=shown or "", key=key, help=help, placeholder=hint) or None


def _hint(told: dict[str, Any]) -> str:
    """What stands in an empty field: that it is required, and an example, which most descriptions end with."""
    named = re.search(r"such as (.+?)(?:[,;]| or |\.(?:\s|$)|$)", told.get("description") or "")
    given = [str(told["examples"][0])] if told.get("examples") else [f"such as {named[1]}"] if named else []
    given = given or [TIMES[told["format"]]] if told.get("format") in TIMES else given
    return ", ".join((["required"] if told.get("required") else []) + given)


def _pairs(value: Any) -> str:
    return "\n".join(f"{a} = {'' if b is None else b}" for a, b in (value or {}).items())


def _read_pairs(text: str) -> dict[str, str | None]:
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {before.strip(): after.strip() or None for before, _, after in pairs}
