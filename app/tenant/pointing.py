"""Pointing: where in a row's text the value of a source field stands, so that it can be marked there."""

from __future__ import annotations

import json

from engine.model import Dialect, Shape

Span = tuple[int, int]


def place_of(text: str, shape: Shape, form: str, field: str, own: tuple[str, ...] = ()) -> Span | None:
    """From where to where in the text a field's value stands; None where that can't be told.

    `own` are the columns of the row's own payload, where they are not the source's.
    """
    if form == "csv":
        columns = (
            own or (shape.dialect.columns if shape.dialect else ()) or tuple(f.name for f in shape.fields)
        )
        if field not in columns:
            return None
        cells = cells_of(text, shape.dialect or Dialect())
        at = list(columns).index(field)
        return cells[at] if at < len(cells) else None
    path = next((f.path for f in shape.fields if f.name == field), None) or (field,)
    return _in_object(text, path[-1])


def cells_of(text: str, dialect: Dialect) -> list[Span]:
    """From where to where each cell of a line stands, its quotes included."""
    found: list[Span] = []
    begin, quoted, i = 0, False, 0
    while i < len(text):
        if dialect.quote and text[i] == dialect.quote and (quoted or i == begin):
            quoted = not quoted
        elif not quoted and dialect.delimiter and text.startswith(dialect.delimiter, i):
            found.append((begin, i))
            i += len(dialect.delimiter)
            begin = i
            continue
        i += 1
    return [*found, (begin, len(text))]


def _in_object(text: str, name: str) -> Span | None:
    key = json.dumps(name, ensure_ascii=False)
    at = text.find(key)
    if at < 0:
        return None
    begin = at + len(key)
    while begin < len(text) and text[begin] in " \t:":
        begin += 1
    try:
        _, end = json.JSONDecoder().raw_decode(text, begin)
    except json.JSONDecodeError:
        return None
    return begin, end
