"""A mapping being written: what the draft of a pipeline holds, and the edits a person makes to it.

The draft is plain data as the API takes it, so that what is previewed, saved and run is one and the same.
What is suggested for each target field, and which of several mappings is at hand, is each page's own.
"""

from __future__ import annotations

import copy
from typing import Any

import streamlit as st

from app.client import Client
from app.roles import Permission
from app.widgets import access
from app.widgets.drafts import Draft, draft
from app.widgets.whole import whole

SURE = 90
# Weaker suggestions are not put forward; they are there when the field is looked for.
LIKELY = 50
# A target model that fits less is not begun with: a person says what the rows are.
FITS = 30
# Where no model fits better than this, a template all of whose fields the source has says more.
CLEAR = 60
NONE, CONSTANT, SQL = "\x00none", "\x00constant", "\x00sql"
Data = dict[str, Any]


def open_pipeline(client: Client, id: str) -> Draft:
    """The draft of a pipeline: the one under way, or a new one of the pipeline as it stands."""
    view = client.pipeline(id)

    def begin() -> Data:
        return {
            "pipeline": id, "version": view.version, "name": view.pipeline.name, "source": view.pipeline.source,
            "error_threshold": view.pipeline.error_threshold,
            "mappings": [plain(mapping) for mapping in view.pipeline.mappings],
        }  # fmt: skip

    found = draft(client, f"pipeline:{id}", begin)
    if not found.revision and found.content["version"] != view.version:
        found.content = begin()
    version = found.content["version"]
    if found.own.get("of") != version:
        saved = view if version == view.version else client.pipeline(id, version)
        kept = saved.pipeline
        found.look(
            of=version, saved=[plain(mapping) for mapping in kept.mappings],
            saved_as={"name": kept.name, "error_threshold": kept.error_threshold},
        )  # fmt: skip
    found.look(newest=view.version, newest_by=view.author)
    return _looked(found)


def open_source(client: Client, id: str) -> Draft:
    """The draft of a source's first mapping: the one under way, or what is suggested."""

    def begin() -> Data:
        content: Data = {"pipeline": None, "version": None, "name": client.source(id).source.name, "source": id,
                         "error_threshold": None, "mappings": [], "notes": []}  # fmt: skip
        if not access.may(Permission.WORK):
            return content
        with st.spinner("Looking at what the fields hold…"):
            offered = client.suggest(id)
        best = next((each for each in offered.suggestions[:1] if each.fit >= FITS), None)
        ready = [plain(mapping) for mapping in offered.ready]
        fits.update({s.target: s.fit for s in offered.suggestions})
        if not ready and (best is None or best.fit < CLEAR):
            whole_ones = [
                (view, made) for view, made in applied(client, id) if made.matched and not made.missing
            ]
            if whole_ones:
                view, made = whole_ones[0]
                told = f"Begun with the template {view.template.name}: the source has all of its fields."
                return content | {"mappings": [plain(mapping) for mapping in made.mappings], "notes": [told]}
        return content | {
            "mappings": ready or ([plain(best.mapping)] if best else []),
            "notes": list(best.notes) if best and not ready else [],
        }

    fits: dict[str, int] = {}
    found = draft(client, f"source:{id}", begin)
    if fits:
        found.look(fits=fits)
    found.look(saved=[], newest=None)
    return _looked(found)


def applied(client: Client, source: str) -> list[tuple[Any, Any]]:
    """Every template with what it makes of a source, those that feed most target fields first."""
    found = [(view, client.apply_template(view.template.id, source)) for view in client.templates()]
    return sorted(found, key=lambda pair: (-pair[1].matched, len(pair[1].missing), pair[0].template.name))


def suggest(client: Client, edited: Draft, source: Any) -> None:
    """Know what is suggested for the mapping at hand; asked once for each state of the source."""
    target = mapping_of(edited)["target"] if edited.now["mappings"] else None
    shape = source.source.shape
    if target is None or not access.may(Permission.WORK) or any(m.target == target for m in shape.mappings):
        # A format that describes itself has brought the whole mapping.
        edited.look(suggested={}, extent="")
        return
    kept = st.session_state.setdefault("suggested", {})
    place = (access.tenant(), source.source.id, source.version, target)
    if place not in kept:
        offered = client.suggest(source.source.id, target)
        best = offered.suggestions[0] if offered.suggestions else None
        kept[place] = (_fields(best) if best else {}, offered.extent)
    edited.look(suggested=kept[place][0], extent=kept[place][1])


@whole
def choose_target(client: Client, edited: Draft, target: str) -> None:
    """Map onto another target model, as suggested for it."""
    best = client.suggest(edited.now["source"], target).suggestions[0]
    mappings = copy.deepcopy(edited.now["mappings"])
    if mappings:
        mappings[edited.now["at"]] = plain(best.mapping)
    else:
        mappings = [plain(best.mapping)]
    edited.edit(mappings=mappings, notes=list(best.notes))


def mapping_of(edited: Draft) -> Data:
    """The mapping at hand."""
    found: Data = edited.now["mappings"][edited.now["at"]]
    return found


def field_of(edited: Draft, field: str) -> Data | None:
    """How a target field is mapped, if it is."""
    return next((f for f in mapping_of(edited)["fields"] if f["field"] == field), None)


def origin_of(mapped: Data | None) -> str:
    """Where its value comes from: a source field's name, or one of the three words."""
    if mapped is None:
        return NONE
    if mapped.get("from") is not None:
        return str(mapped["from"])
    return SQL if mapped.get("sql") is not None else CONSTANT


def origin_said(mapped: Data | None) -> str:
    """Where its value comes from, in words."""
    origin = origin_of(mapped)
    return {NONE: "not mapped", CONSTANT: "a constant", SQL: "an expression"}.get(origin, f"from {origin}")


@whole
def set_origin(edited: Draft, field: str, origin: str) -> None:
    """Take the field's value from somewhere else. Steps stay where the origin stays a source field."""
    if origin == NONE:
        put(edited, field, None)
        return
    before = field_of(edited, field) or {}
    told = edited.now["suggested"].get(field) or {}
    made: Data = {"field": field}
    if origin == CONSTANT:
        made["constant"] = ""
    elif origin == SQL:
        quoted = str(before.get("from") or "").replace('"', '""')
        made["sql"] = f'"{quoted}"' if quoted else "''"
    else:
        made["from"] = origin
        best = told.get("best") or {}
        made["steps"] = told.get("steps", []) if best.get("source") == origin else before.get("steps", [])
    put(edited, field, made)


@whole
def put(edited: Draft, field: str, mapped: Data | None) -> None:
    """Map a target field so, in place of what it was; None leaves it out."""
    edited.edit(mappings=with_field(edited, field, mapped))


@whole
def change(edited: Draft, **parts: Any) -> None:
    """Change parts of the mapping at hand: fields, rules, where, explode."""
    edited.edit(mappings=_changed(edited, **parts))


def with_field(edited: Draft, field: str, mapped: Data | None) -> list[Data]:
    """The mappings as they would be with a target field mapped so."""
    fields = [dict(f) for f in mapping_of(edited)["fields"]]
    place = next((i for i, f in enumerate(fields) if f["field"] == field), len(fields))
    fields[place : place + 1] = [mapped] if mapped is not None else []
    return _changed(edited, fields=fields)


def _changed(edited: Draft, **parts: Any) -> list[Data]:
    mappings: list[Data] = copy.deepcopy(edited.now["mappings"])
    at = edited.now["at"]
    mappings[at] = {k: v for k, v in {**mappings[at], **parts}.items() if v is not None}
    return mappings


def waiting(edited: Draft, least: int = 0) -> list[str]:
    """Target fields with a suggestion of at least this score that is not taken yet."""
    mapped = {f["field"] for f in mapping_of(edited)["fields"]}
    return [
        name
        for name, told in edited.now["suggested"].items()
        if name not in mapped and told.get("best") and told["best"]["score"] >= least
    ]


@whole
def accept(edited: Draft, names: list[str]) -> None:
    """Take these suggestions, as one act that can be undone."""
    fields = [dict(f) for f in mapping_of(edited)["fields"]]
    for name in names:
        fields.append(_suggested(name, edited.now["suggested"][name]))
    change(edited, fields=fields)


@whole
def move(edited: Draft, before: str, after: str) -> None:
    """Give what feeds one target field to another, as one act."""
    found = field_of(edited, before)
    if found is None or before == after:
        return
    kept = [dict(f) for f in mapping_of(edited)["fields"] if f["field"] not in (before, after)]
    change(edited, fields=[*kept, {**found, "field": after}])


def dirty(edited: Draft) -> bool:
    """Whether the draft differs from what is saved."""
    now = edited.now
    as_saved = all(now[part] == value for part, value in now.get("saved_as", {}).items())
    return bool(now["mappings"] != now["saved"]) or not as_saved


def _suggested(name: str, told: Data) -> Data:
    """A field as it was suggested: from its source through steps, as an expression, or as a constant."""
    for way in ("sql", "constant"):
        if told.get(way) is not None:
            return {"field": name, way: told[way]}
    return {"field": name, "from": told["best"]["source"], "steps": told.get("steps", [])}


def _looked(found: Draft) -> Draft:
    """With the mapping at hand among those there are."""
    most = max(len(found.content["mappings"]) - 1, 0)
    found.look(at=min(found.own.get("at", 0), most), suggested=found.own.get("suggested", {}))
    return found


def _fields(suggestion: Any) -> Data:
    return {
        f.field: f.model_dump(mode="json", by_alias=True, exclude_defaults=True) for f in suggestion.fields
    }


def plain(mapping: Any) -> Data:
    """A mapping as the draft holds it."""
    found: Data = mapping.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return found
