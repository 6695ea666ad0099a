"""A mapping being written: what the draft of a pipeline holds, and the edits a person makes to it.

The draft is plain data as the API takes it, so that what is previewed, saved and run is one and the same.
`suggested` keeps what was proposed for each target field of the mapping at hand.
"""

from __future__ import annotations

import copy
from typing import Any

from app.client import Client
from app.widgets.drafts import Draft, begin, draft

SURE = 90
# Weaker suggestions are not put forward; they are there when the field is looked for.
LIKELY = 50
NONE, CONSTANT, SQL = "\x00none", "\x00constant", "\x00sql"
Data = dict[str, Any]


def open_pipeline(client: Client, id: str) -> Draft:
    """The draft of a pipeline: the one under way, or a new one of the pipeline as it stands."""
    subject = f"pipeline:{id}"
    found = draft(subject)
    if found is not None:
        return found
    view = client.pipeline(id)
    mappings = [_plain(mapping) for mapping in view.pipeline.mappings]
    content = {
        "subject": subject, "pipeline": id, "version": view.version, "name": view.pipeline.name,
        "source": view.pipeline.source, "error_threshold": view.pipeline.error_threshold,
        "mappings": mappings, "at": 0, "saved": copy.deepcopy(mappings), "suggested": {}, "extent": "",
    }  # fmt: skip
    return begin(subject, content | _proposed(client, view.pipeline.source, mappings[0]["target"]))


def open_source(client: Client, id: str) -> Draft:
    """The draft of a source's first mapping: the one under way, or what is suggested."""
    subject = f"source:{id}"
    found = draft(subject)
    if found is not None:
        return found
    offered = client.suggest(id)
    best = offered.suggestions[0] if offered.suggestions else None
    ready = [_plain(mapping) for mapping in offered.ready]
    mappings = ready or ([_plain(best.mapping)] if best else [])
    content: Data = {
        "subject": subject, "pipeline": None, "version": None, "name": client.source(id).source.name,
        "source": id, "error_threshold": None, "mappings": mappings, "at": 0, "saved": [],
        "suggested": _fields(best) if best and not ready else {}, "extent": offered.extent,
        "fits": {s.target: s.fit for s in offered.suggestions}, "notes": list(best.notes) if best and not ready else [],
    }  # fmt: skip
    return begin(subject, content)


def choose_target(client: Client, edited: Draft, target: str) -> None:
    """Map onto another target model, as suggested for it."""
    offered = client.suggest(edited.now["source"], target)
    best = offered.suggestions[0]
    mappings = copy.deepcopy(edited.now["mappings"])
    if mappings:
        mappings[edited.now["at"]] = _plain(best.mapping)
    else:
        mappings = [_plain(best.mapping)]
    edited.edit(mappings=mappings, suggested=_fields(best), notes=list(best.notes))


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


def put(edited: Draft, field: str, mapped: Data | None) -> None:
    """Map a target field so, in place of what it was; None leaves it out."""
    fields = [dict(f) for f in mapping_of(edited)["fields"]]
    place = next((i for i, f in enumerate(fields) if f["field"] == field), len(fields))
    fields[place : place + 1] = [mapped] if mapped is not None else []
    change(edited, fields=fields)


def change(edited: Draft, **parts: Any) -> None:
    """Change parts of the mapping at hand: fields, rules, where, explode."""
    mappings = copy.deepcopy(edited.now["mappings"])
    at = edited.now["at"]
    mappings[at] = {k: v for k, v in {**mappings[at], **parts}.items() if v is not None}
    edited.edit(mappings=mappings)


def waiting(edited: Draft, least: int = 0) -> list[str]:
    """Target fields with a suggestion of at least this score that is not taken yet."""
    mapped = {f["field"] for f in mapping_of(edited)["fields"]}
    return [
        name
        for name, told in edited.now["suggested"].items()
        if name not in mapped and told.get("best") and told["best"]["score"] >= least
    ]


def accept(edited: Draft, names: list[str]) -> None:
    """Take these suggestions, as one act that can be undone."""
    fields = [dict(f) for f in mapping_of(edited)["fields"]]
    for name in names:
        told = edited.now["suggested"][name]
        fields.append({"field": name, "from": told["best"]["source"], "steps": told.get("steps", [])})
    change(edited, fields=fields)


def dirty(edited: Draft) -> bool:
    """Whether the draft differs from what is saved."""
    return bool(edited.now["mappings"] != edited.now["saved"])


def _proposed(client: Client, source: str, target: str) -> Data:
    offered = client.suggest(source, target)
    best = offered.suggestions[0] if offered.suggestions else None
    return {"suggested": _fields(best) if best else {}, "extent": offered.extent}


def _fields(suggestion: Any) -> Data:
    return {
        f.field: f.model_dump(mode="json", by_alias=True, exclude_defaults=True) for f in suggestion.fields
    }


def _plain(mapping: Any) -> Data:
    found: Data = mapping.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return found
