"""About a record: what the objects around it say of it, its markings and its text in other languages."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from duckdb import DuckDBPyConnection

from engine.types.vocabularies.tlp import EXTENSION, MARKINGS
from storage import records


@dataclass(frozen=True)
class Marking:
    """A marking in force: what it says, and the parts it is for, where it is not for all of the record.

    `says` is empty where the definition is not in the store. `lang` marks a part's language instead.
    """

    ref: str
    says: str
    selectors: tuple[str, ...] = ()
    lang: str = ""


@dataclass(frozen=True)
class Translation:
    """A record's text in another language, by field; `by` is the language-content that gives it."""

    lang: str
    contents: Mapping[str, Any]
    by: str


def whole_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """A record's whole object, where it came as one."""
    try:
        found = json.loads(row.get("object") or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def markings(cursor: DuckDBPyConnection, row: Mapping[str, Any]) -> list[Marking]:
    """The markings of a record: of all of it first, then of parts of it (STIX 2.1 §7.2)."""
    whole = whole_of(row)
    refs = [*(row.get("object_marking_refs") or ()), *_texts(whole.get("object_marking_refs"))]
    granular = [each for each in whole.get("granular_markings") or () if isinstance(each, dict)]
    named = {*refs, *(str(each.get("marking_ref") or "") for each in granular)} - {""}
    said = _said(cursor, named)
    found = [Marking(ref, said.get(ref, "")) for ref in dict.fromkeys(refs)]
    for each in granular:
        ref, lang = str(each.get("marking_ref") or ""), str(each.get("lang") or "")
        found.append(Marking(ref, said.get(ref, ""), tuple(_texts(each.get("selectors"))), lang))
    return found


def _said(cursor: DuckDBPyConnection, refs: set[str]) -> dict[str, str]:
    said = {ref: f"TLP:{MARKINGS[ref]}" for ref in refs if ref in MARKINGS}
    unknown = sorted(refs - set(said))
    if unknown and records.exists(cursor, "marking-definition"):
        rows = cursor.execute(
            'SELECT id, name, definition, object FROM store.records."marking-definition" '
            "WHERE _kh IN (SELECT hash(x) FROM (SELECT unnest(?::VARCHAR[]) AS x))",
            [unknown],
        ).fetchall()
        said |= {id: meaning(name, definition, text) for id, name, definition, text in rows}
    return said


def meaning(name: str | None, definition: str | None, text: str | None) -> str:
    """What a marking definition says: its TLP, of 1.0 or 2.0, its statement, or its name."""
    whole = whole_of({"object": text})
    given = whole.get("definition") or whole_of({"object": definition})
    extension = (whole.get("extensions") or {}).get(EXTENSION)
    for place, key in ((extension, "tlp_2_0"), (given, "tlp")):
        if isinstance(place, dict) and place.get(key):
            colour = str(place[key]).upper()
            return f"TLP:{'CLEAR' if colour == 'WHITE' else colour}"
    statement = given.get("statement") if isinstance(given, dict) else None
    return str(statement or name or "A marking without a text")


def translations(cursor: DuckDBPyConnection, row: Mapping[str, Any]) -> list[Translation]:
    """A record's text in other languages, as language-content gives it for this version or for any (STIX 2.1 §7.1)."""
    if not row.get("id") or not records.exists(cursor, "language-content"):
        return []
    held = {r[0] for r in cursor.execute('DESCRIBE store.versions."language-content"').fetchall()}
    if not {"object_ref", "contents", "object_modified"} <= held:
        return []
    rows = cursor.execute(
        'SELECT id, contents, object_modified FROM store.records."language-content" '
        "WHERE object_ref = ? AND coalesce(NOT revoked, true) ORDER BY object_modified NULLS FIRST, _seq",
        [row["id"]],
    ).fetchall()
    return list(_applied(rows, row.get("modified")))


def _applied(
    rows: list[tuple[str, str | None, datetime | None]], version: datetime | None
) -> Iterator[Translation]:
    for id, text, of in rows:
        if of is not None and of != version:
            continue
        for lang, contents in whole_of({"object": text}).items():
            if isinstance(contents, dict):
                yield Translation(str(lang), contents, id)


def translated(values: Mapping[str, Any], contents: Mapping[str, Any]) -> dict[str, Any]:
    """The translated fields, each whole: what a translation leaves empty stands as it was."""
    return {
        name: _over(values.get(name), inner)
        for name, inner in contents.items()
        if name in values and inner not in (None, "", [])
    }


def _over(original: Any, given: Any) -> Any:
    if isinstance(original, list) and isinstance(given, list):
        return [_over(one, given[at]) if at < len(given) else one for at, one in enumerate(original)]
    if isinstance(original, dict) and isinstance(given, dict):
        return {name: _over(one, given.get(name)) for name, one in original.items()}
    return original if given in (None, "", [], {}) else given


def _texts(value: Any) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def altered(rows: list[dict[str, Any]], version: str | None) -> list[bool]:
    """Of versions, newest first, which came with the same version as an older one but other content."""
    if version is None:
        return [False] * len(rows)
    marks = [row.get(version) for row in rows]
    return [mark is not None and mark in marks[at + 1 :] for at, mark in enumerate(marks)]
