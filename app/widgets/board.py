"""The mapping board: source fields and target fields with the lines between them, or the same draft as a table."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import streamlit as st

from app.client import Client
from app.roles import Permission
from app.widgets import access, acts, words
from app.widgets import mapping_draft as drafting
from app.widgets.access import attempt
from app.widgets.drafts import Draft
from app.widgets.mapping_draft import CONSTANT, SQL

_HERE = Path(__file__).parent
_board = acts.component(
    "spire_board",
    html=(_HERE / "board.html").read_text(),
    css=(_HERE / "board.css").read_text(),
    js=(_HERE / "board.js").read_text(),
)
# The last choice of the target's box: a model made from this source.
NEW = "\x00new"
Data = dict[str, Any]


def board(client: Client, edited: Draft, source: Any, target: Any, models: Data, selected: str) -> None:
    """Draw the board; what a person does on it is kept in the draft before the page is drawn again."""
    found = profile(client, source)
    names = [field.name for field in source.source.shape.fields] if source.source.shape else []
    columns = {column.name: column for column in found.profile.columns}
    mapping = drafting.mapping_of(edited)
    many = len(edited.now["mappings"]) > 1
    data = {
        "subject": edited.subject,
        "model": f"{edited.now['at']} {target.name}",
        "told": f"{words.count(len(names), 'field')}, {found.extent}",
        "sources": [_source(source.source.id, name, columns.get(name)) for name in names],
        "targets": [_target(edited, field, names) for field in target.fields],
        "selected": selected,
        "which": _mappings(edited) if many else _models(edited, models),
        "at": str(edited.now["at"]) if many else mapping["target"],
        "many": many,
        "whichLabel": "Mapping" if many else "Target model",
        "view": "table" if st.query_params.get("view") == "table" else "board",
        "readonly": access.why_not(Permission.WORK) or "",
    }
    acts.draw(_board, data, key=f"board-{edited.subject}", acted=lambda told: _acted(client, edited, told))


def profile(client: Client, source: Any) -> Any:
    """What the source's columns hold; asked once for each state of the source."""
    kept = st.session_state.setdefault("profiles", {})
    place = (access.tenant(), source.source.id, source.version)
    if place not in kept:
        with st.spinner("Looking at what the fields hold…"):
            kept[place] = client.source_profile(source.source.id)
    return kept[place]


def select(name: str) -> None:
    """Let the right side show this target field."""
    st.query_params["field"] = name


def _acted(client: Client, edited: Draft, told: Data) -> None:
    act, target = told["act"], told.get("target", "")
    if act == "map":
        attempt(drafting.set_origin, edited, target, told["source"])
    elif act == "unmap":
        attempt(drafting.put, edited, target, None)
    elif act == "move":
        attempt(drafting.move, edited, told["before"], told["after"])
        target = told["after"]
    elif act == "accept":
        attempt(drafting.accept, edited, list(told["targets"]))
        return
    elif act in ("constant", "sql"):
        attempt(drafting.set_origin, edited, target, CONSTANT if act == "constant" else SQL)
    elif act == "origin":
        attempt(drafting.set_origin, edited, target, told["origin"])
    elif act == "view":
        st.query_params["view"] = told["view"]
    elif act == "which":
        _choose(client, edited, told["value"])
    if target:
        select(target)


def _choose(client: Client, edited: Draft, value: str) -> None:
    st.query_params.pop("field", None)
    if value == NEW:
        st.session_state["propose"] = edited.now["source"]
    elif len(edited.now["mappings"]) > 1:
        edited.look(at=int(value))
    else:
        attempt(drafting.choose_target, client, edited, value)


def _mappings(edited: Draft) -> list[Data]:
    found = edited.now["mappings"]
    return [
        {"value": str(place), "label": f"{m['target']} ({place + 1} of {len(found)})"}
        for place, m in enumerate(found)
    ]


def _models(edited: Draft, models: Data) -> list[Data]:
    fits = edited.now.get("fits") or {}
    names = sorted(models, key=lambda name: (-fits.get(name, 0), name))
    return [
        *({"value": n, "label": f"{n}, fits {fits[n]} %" if n in fits else n} for n in names),
        {"value": NEW, "label": "New model from this source…"},
    ]


def _source(source: str, name: str, column: Any) -> Data:
    found: Data = {"name": name, "chip": "", "tone": "", "mask": "", "spark": [], "empty": "", "outliers": ""}
    if column is None:
        return found | {"href": ""}
    bins = list(column.numbers.bins) if column.numbers and column.numbers.bins else []
    top = column.top[0].value if column.top else ""
    few = column.type == "text" and column.distinct
    return found | {
        "chip": f"text, {words.count(column.distinct, 'value')}" if few else column.evidence.split(", ")[0],
        "tone": "wait" if column.ambiguous_dates or column.mangled else "",
        "mask": (column.masks[0].mask if column.masks else top)[:60],
        "spark": bins or [value.count for value in column.top[:8]],
        "empty": f"{words.percent(column.rows - column.filled, column.rows)} empty",
        "outliers": words.count(column.outliers, "outlier") if column.outliers else "",
        "href": access.address("sources", source=source, field=name),
    }


def _target(edited: Draft, field: Any, names: list[str]) -> Data:
    mapped = drafting.field_of(edited, field.name)
    told = edited.now["suggested"].get(field.name) or {}
    best, second = told.get("best") or {}, told.get("runner_up")
    kind = field.kind or field.vocabulary
    found: Data = {
        "name": field.name, "title": field.title, "required": field.required, "state": "open", "from": [], "text": "",
        "more": "", "hint": f"{field.name}: {field.type}{f', {kind}' if kind else ''}. {field.description or field.title}",
        "score": best.get("score", 0), "best": best.get("source", ""), "reasons": list(best.get("reasons", [])),
        "runner": f"{second['source']}, {second['score']} %" if second else "", "choices": bool(told.get("choices")),
    }  # fmt: skip
    if mapped is None:
        if best and best["score"] >= drafting.LIKELY:
            found |= {"state": "suggested", "from": [best["source"]]}
        return found
    steps = mapped.get("steps", [])
    if mapped.get("sql") is not None:
        return found | {"state": "sql", "text": "expression", "more": str(mapped["sql"]), "from": _read(mapped["sql"], names)}  # fmt: skip
    if mapped.get("from") is None:
        return found | {"state": "constant", "text": f"always “{mapped.get('constant')}”", "more": str(mapped.get("constant"))}  # fmt: skip
    others = [
        name
        for step in steps
        for name in step.get("options", {}).get("fields", [])
        if name in names and name != mapped["from"]
    ]
    text = words.count(len(steps), "step") if steps else "as it is"
    return found | {"state": "mapped", "from": [mapped["from"], *others], "text": text}


def _read(sql: str, names: list[str]) -> list[str]:
    """The source fields an expression names, for the lines that are drawn to it."""
    found = set(re.findall(r'"((?:[^"]|"")+)"', sql)) | set(re.findall(r"\w+", sql))
    return [name for name in names if name in found or name.replace('"', '""') in found]
