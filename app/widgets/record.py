"""One record in parts: its facts, who gave it, how it changed, and what its mapping made of a line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import datetime
from html import escape
from typing import Any

import streamlit as st

from app.widgets import frame, words
from app.widgets.listing import Column, Row, cell, figure, listing
from app.widgets.output import text_of

TITLES = (
    "name",
    "value",
    "cve",
    "title",
    "abstract",
    "hostname",
    "email",
    "relationship_type",
    "content",
    "id",
)
TLP = {"RED": "bad", "AMBER": "wait", "AMBER+STRICT": "wait", "GREEN": "ok", "CLEAR": "neutral"}
_SMALL = 8 << 20
_LINK = re.compile(r"\[([^\]\n]+)\]\([^)\s]+\)")


def title_of(values: dict[str, Any]) -> tuple[str, str]:
    """The field that names a record, and what it says."""
    # An indicator is its value; everything else is called by its name.
    first = ("value", *TITLES) if values.get("value") else TITLES
    return next(((name, text_of(values[name])) for name in first if values.get(name)), ("", "Record"))


def chips_of(values: dict[str, Any]) -> list[tuple[str, str]]:
    """What one should know before all else: kind, sharing, confidence, whether it was withdrawn."""
    found: list[tuple[str, str]] = []
    kind = values.get("value_type") or values.get("type")
    if kind:
        found.append((str(kind), ""))
    if values.get("tlp"):
        found.append((f"TLP:{values['tlp']}", TLP.get(str(values["tlp"]), "")))
    if isinstance(values.get("confidence"), int):
        found.append((f"confidence {values['confidence']}", ""))
    if values.get("revoked") is True:
        found.append(("revoked", "bad"))
    return found


def long(text: str) -> None:
    """A long text as it stands, in a space that scrolls."""
    st.html(
        f'<div class="sp-long" tabindex="0" role="region" aria-label="The whole text">{escape(text[:20_000])}</div>'
    )


def times(values: dict[str, Any]) -> str:
    """HTML of when it was first and last seen, or else since when it holds."""
    named = (("first_seen", "First seen"), ("last_seen", "last seen"), ("valid_from", "valid from"), ("valid_until", "until"),
             ("published", "published"), ("created", "created"), ("modified", "modified"))  # fmt: skip
    told = [f"{title} {words.when(values[name])}" for name, title in named if values.get(name)]
    line = ", ".join(told[:4])
    return line[:1].upper() + line[1:] + "." if line else ""


def sources(found: Any, sightings: Any) -> None:
    """Which pipelines and files gave a record, how often and when, and what sighting records add."""
    groups: dict[tuple[str, str, str], list[Any]] = {}
    for version in found.versions:
        if version.origin is not None:
            origin = version.origin
            groups.setdefault((origin.source_name, origin.pipeline, origin.payload), []).append(origin)
    rows = []
    for (name, pipeline, payload), origins in groups.items():
        moments = sorted(origin.started for origin in origins)
        first, last = moments[0], moments[-1]
        seen, again = words.ago(first), words.ago(last)
        rows.append(
            Row(
                f"{pipeline}/{payload}",
                [
                    cell(payload or name, sub=f"by pipeline {pipeline}", tone="b", hint=payload),
                    cell(words.count(len(origins), "version"), tone="muted"),
                    cell(
                        f"first {seen}" if seen != again else seen,
                        tone="muted",
                        sub=f"last {again}" if seen != again else "",
                        hint=f"{words.exact(first)} – {words.exact(last)}",
                    ),
                ],
                go=False,
            )
        )
    listing(
        "Sources", [Column(), Column(), Column(right=True)], rows, key="source-rows", none="None is known."
    )
    if sightings is not None:
        span = ""
        if sightings.first:
            span = f", first {words.when(sightings.first)}" + (
                f", last {words.when(sightings.last)}" if sightings.last else ""
            )
        st.html(
            f'<div class="sp-pad">Seen {words.count(sightings.times, "time")} by '
            f"{words.count(sightings.reports, 'sighting record')}{span}.</div>"
        )


def fields(
    values: dict[str, Any], origins: Iterable[Any], titles: dict[str, str], defanged: dict[str, str]
) -> None:
    """Every field that has a value, with where it came from."""
    known = {origin.field: origin for origin in origins}
    rows = []
    for name, value in values.items():
        if value in (None, [], "") or name == "object":
            continue
        origin = known.get(name)
        told = ""
        if origin is not None:
            given = ", ".join(f"{k} “{cut(v, 60)}”" if v else k for k, v in origin.sources.items())
            told = " → ".join(part for part in [given or origin.origin, *origin.steps] if part)
        text = defanged.get(name) or (_moment(value) if _is_moment(value) else text_of(value))
        rows.append(
            Row(
                name,
                [
                    cell(titles.get(name) or name, tone="muted", wrap=True, hint=name),
                    cell(cut(text, 300), sub=told[:240], wrap=True, hint=text[:2000], cls="breaks"),
                ],
                go=False,
            )
        )
    listing("Fields", [Column(width="30%"), Column()], rows, key="field-list", widest=300)


def cut(text: str, most: int) -> str:
    """A text, or its beginning."""
    return text if len(text) <= most else f"{text[:most]}…"


def _is_moment(value: Any) -> bool:
    return isinstance(value, str) and len(value) >= 19 and value[4:5] == "-" and value[10:11] == "T"


def _moment(value: str) -> str:
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return value
    return (
        f"{at:%-d %b %Y}" if (at.hour, at.minute, at.second) == (0, 0, 0) else f"{at:%-d %b %Y %H:%M:%S} UTC"
    )


def short(value: Any) -> str:
    """A value as it stands in a narrow cell."""
    if _is_moment(value):
        return value[:10] if value[11:19] == "00:00:00" else f"{value[:10]} {value[11:16]}"
    return text_of(value)


def origin(found: Any, lines: Any) -> None:
    """The way back: file, line, run, mapping version; `lines` is the traced origin with its line, if fetched."""
    run = frame.link(f"run {found.run}", "runs", run=found.run)
    facts = {
        "File": escape(found.payload) or "gone from the landing zone",
        "Line": f"{found.line:,}",
        "Loaded": f"{words.when(found.started)} by {escape(words.doer(found.started_by))}, {run}",
        "Mapping": frame.link(
            f"{found.pipeline}, version {found.pipeline_version}",
            "mapping",
            pipeline=found.pipeline,
            version=found.pipeline_version,
        )
        + f" (<code>{escape(found.mapping)}</code>)",
        "SHA-256": f"<code>{escape(found.sha256)}</code>" if found.sha256 else "",
    }
    if found.reject is not None:
        facts["Repaired"] = frame.link(f"from reject {found.reject}", "quarantine", reject=found.reject)
    told = "".join(
        f'<span class="k">{name}</span><span class="v">{fact}</span>' for name, fact in facts.items() if fact
    )
    st.html(f'<div class="sp-facts">{told}</div>')
    if lines is None:
        return
    if not lines.raw:
        st.caption("The line is not at hand: its file is too large to be searched, or no longer kept.")
        return
    st.html(
        '<div class="sp-raw" tabindex="0" role="region" aria-label="The line as it was received"><div>'
        f"<i>{lines.line}</i>{escape(_indented(lines.raw))}</div></div>"
    )


def _indented(raw: str) -> str:
    text = raw[:20_000].rstrip()
    return text + (" …" if len(raw) > 20_000 else "")


def is_small(found: Any) -> bool:
    """Whether a line of its file is found at once."""
    return 0 < found.size <= _SMALL


def versions(found: Any, titles: dict[str, str]) -> None:
    """Newest first, each with what it changed."""
    rows = []
    for place, version in enumerate(found.versions):
        older = _laid_out(found.versions[place + 1].values) if place + 1 < len(found.versions) else None
        newer = _laid_out(version.values)
        changed = [] if older is None else [n for n in {**newer, **older} if newer.get(n) != older.get(n)]
        said = "first version" if older is None else words.count(len(changed), "change")
        rows.append(_version(place, version, f"{said}, without a new version" if version.altered else said))
        rows += [_change(place, name, newer.get(name), (older or {}).get(name), titles) for name in changed]
    heads = [Column("Version"), Column("Before"), Column("After")] if len(rows) > 1 else [Column()] * 3
    listing("Versions", heads, rows, key="version-rows", widest=260)


def _laid_out(values: dict[str, Any]) -> dict[str, Any]:
    """The fields, and beside them what only the whole object has."""
    came = values.get("object")
    more = {k: v for k, v in came.items() if k not in values} if isinstance(came, dict) else {}
    both = {**more, **{k: v for k, v in values.items() if k != "object"}}
    return {name: value for name, value in both.items() if value not in (None, [], "")}


def _version(place: int, version: Any, said: str) -> Row:
    when = version.origin.started if version.origin else None
    made = f"run {version.origin.run}, {words.ago(when)}" if when else ""
    return Row(
        f"v{place}",
        [
            cell(
                "latest" if version.latest else "older", chip="ok" if version.latest else "neutral", sub=made
            ),
            cell(said, tone="muted"),
            cell("", hint=words.exact(when) if when else ""),
        ],
        go=False,
    )


def _change(place: int, name: str, new: Any, old: Any, titles: dict[str, str]) -> Row:
    return Row(
        f"v{place}-{name}",
        [
            cell(titles.get(name) or name, tone="muted", wrap=True, hint=name),
            cell(
                cut(short(old), 160) or "no value",
                tone="muted",
                wrap=True,
                hint=short(old)[:2000],
                cls="breaks",
            ),
            cell(cut(short(new), 160) or "no value", cls="changed", wrap=True, hint=short(new)[:2000]),
        ],
        go=False,
    )


def whole(values: dict[str, Any]) -> None:
    """The whole object as JSON: as it came where it came as one, else the fields."""
    came = values.get("object")
    shown = came if isinstance(came, dict) else {k: v for k, v in values.items() if v not in (None, [], "")}
    st.code(json.dumps(shown, indent=2, ensure_ascii=False), language="json", height=420)


def cells(row: dict[str, Any], names: list[str]) -> list[dict[str, Any]]:
    """A record's cells in a list of records."""
    made = []
    for name in names:
        value = row.get(name)
        if name == "tlp" and value:
            made.append(cell(value, chip=TLP.get(str(value), "neutral")))
        elif type(value) in (int, float):
            made.append(figure(value))
        else:
            text = short(value)
            # What is linked in a description is told by its words; the whole of it is a hover away.
            shown = _LINK.sub(r"\1", text[:1000]) if name == "description" else text
            made.append(cell(shown[:300], hint=text[:500]))
    return made
