"""Mapping: from the fields of a source to those of a target model, with its output beside it."""

from __future__ import annotations

import json
from html import escape
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.client import Client
from app.roles import Permission
from app.tenant.schemas.runs import IngestResult
from app.widgets import access, beginnings, drafts, field_editor, frame, mapping_list, trial, words
from app.widgets import mapping_draft as drafting
from app.widgets.board import board
from app.widgets.drafts import Draft
from app.widgets.output import caught, guessed, output
from app.widgets.particulars import OPEN, particulars
from app.widgets.review import review
from app.widgets.rules import rules
from app.widgets.running import why_not_run
from app.widgets.studio_watch import watch
from app.widgets.texts import PAST
from app.widgets.versions import versions

KEYS = (
    ("Ctrl Enter", "Preview"),
    ("S", "Save"),
    ("Z", "Undo"),
    ("Shift Z", "Redo"),
    ("/", "Find a source field"),
    ("↑ ↓", "From field to field"),
    ("← →", "Source fields and target fields"),
    ("Enter", "Pick a source field up; connect it to a target field; show a target field"),
    ("Esc", "Put it down"),
    ("Delete", "Unmap the target field"),
    ("?", "This list"),
)


def studio(client: Client, edited: Draft) -> None:
    source = client.source(edited.now["source"])
    models = {view.target.name: view.target for view in client.targets()}
    if st.session_state.pop("propose", ""):
        frame.go("settings", part="target-models", source=source.source.id)
    if not edited.now["mappings"]:
        may = access.may(Permission.WORK)
        frame.head(
            edited.now["name"], "Nothing fits by itself. Choose what these rows are." if may else "Nobody has mapped it yet.",
            crumb=frame.link("Mapping", "mapping"),
        )  # fmt: skip
        news(edited)
        beginnings.begin(client, edited, source, models)
        return
    drafting.suggest(client, edited, source)
    mapping = drafting.mapping_of(edited)
    target = models[mapping["target"]]
    lacking = [f.name for f in target.fields if f.required and drafting.field_of(edited, f.name) is None]
    selected = frame.asked("field")
    if selected not in {f.name for f in target.fields}:
        selected = next((f["field"] for f in mapping["fields"] if f.get("steps")), target.fields[0].name)
    header(client, edited, source.source, target, lacking)
    news(edited)
    dry(client, edited)
    with frame.panel(key="studio", flush=True):
        left, right = st.columns([73, 31], gap=None)
    between = st.empty()
    below = frame.panel(key="output", flush=True)
    # The board stands before the preview is asked for: what was connected shows at once.
    with left:
        board(client, edited, source, target, models, selected)
    # What stands in the way of a preview is told between what is mapped and what comes of it.
    with between.container():
        preview = trial.previewed(client, edited) if access.may(Permission.WORK) else None
        if preview is not None and preview.found.lacking and not preview.stale:
            names = escape(words.listed(preview.found.lacking[:8]))
            frame.warn(f"<b>The source has no field {names}.</b> What reads it finds nothing in any row.")
    with right:
        ruling = field(client, edited, source.source, target, selected)
    with below:
        beside(client, edited, target, selected, preview)
    if access.may(Permission.WORK):
        with ruling:
            st.html(frame.heading("Rules", "rows caught in the preview"))
            found = caught(preview.found, target.name) if preview else {}
            rules(edited, target, selected, found)
    # Last of all: a press in a dialog is lost while the page below it is still being drawn.
    past(client, edited)
    details(client, edited, source.source)
    templates(client, edited)


def field(client: Client, edited: Draft, source: Any, target: Any, selected: str) -> DeltaGenerator:
    """The chain of the field at hand; gives the place for the rules below it."""
    with st.container(key="chain-head"):
        st.html(frame.heading(selected, drafting.origin_said(drafting.field_of(edited, selected))))
    with st.container(key="chain-scroll", height=378, border=False):
        off = access.why_not(Permission.WORK)
        catalogue = {step.name: step for step in client.steps()}
        if off is not None:
            mapped = drafting.field_of(edited, selected) or {}
            st.caption(f"Changing this {off[0].lower()}{off[1:]}")
            told = [catalogue[step["step"]].title for step in mapped.get("steps", [])]
            if mapped.get("sql") or mapped.get("constant"):
                told.insert(0, str(mapped.get("sql") or mapped.get("constant")))
            items = "".join(f"<li>{escape(each)}</li>" for each in told)
            st.html(f'<ol class="sp-steps">{items}</ol>' if items else '<span class="m">As it is.</span>')
            return st.container()
        names = [f.name for f in source.shape.fields] if source.shape else []
        field_editor.field_editor(edited, target.field(selected), catalogue, names)
        return st.container(key="rules-place", gap="small")


def beside(client: Client, edited: Draft, target: Any, selected: str, preview: trial.Tried | None) -> None:
    """Output beside input, and how old it is."""
    off = access.why_not(Permission.WORK)
    if off is not None:
        st.html(frame.heading("Output", f"{off} A preview tries the mapping on real rows."))
        return
    if not drafting.mapping_of(edited)["fields"]:
        told = "Connect a source field to a target field; what becomes of real rows shows here."
        st.html(frame.heading("Output", told))
        return
    age = "It could not be made." if preview is None else preview.stale or "This is what the draft makes."
    with st.container(key="output-head", horizontal=True, vertical_alignment="center"):
        st.html(frame.heading("Output"))
        st.button(
            "Preview again", icon=":material/refresh:", on_click=trial.ask, key="preview-now", type="tertiary",
            help=f"{age} Ask again with Ctrl-Enter.",
        )  # fmt: skip
    if preview is None:
        st.html('<p class="sp-none m">It could not be made; the reason stands above.</p>')
        return
    order = sorted((f.name for f in target.fields), key=lambda name: not target.field(name).required)
    line = frame.asked("line")
    chosen = output(
        preview.found, drafting.mapping_of(edited), order, key="output", suggested=edited.now["suggested"],
        guesses=None if preview.stale else guessed(client, edited), required=[f.name for f in target.fields if f.required],
        field=selected, line=int(line) if line.isdigit() else None, stale=bool(preview.stale), height="var(--out)",
    )  # fmt: skip
    if chosen is not None:
        st.query_params["field"], st.query_params["line"] = chosen[0], str(chosen[1])
        st.rerun()


def header(client: Client, edited: Draft, source: Any, target: Any, lacking: list[str]) -> None:
    now = edited.now
    changed = drafting.dirty(edited)
    state = f"Version {now['version']}" if now["version"] else "Not saved yet"
    if now["version"] and changed:
        state = f"Draft of version {now['version']}"
    sub = f"→ target model <b>{escape(target.name)}</b> · {state}"
    if edited.revision:
        who = "you" if edited.who == access.principal().user else escape(edited.who)
        sub += f" · changed by {who} {words.when(edited.at)}"
    name = escape(source.name)
    one = f'<span class="sp-one"><span class="cut" title="{name}">{name}</span><span>{sub}</span></span>'
    actions = frame.head(now["name"], one, crumb=frame.link("Mapping", "mapping"))
    readonly = access.why_not(Permission.WORK)
    blocked = f"Map {', '.join(lacking)} first." if lacking else None
    with actions:
        watch(edited)
        st.button(
            "Undo", icon=":material/undo:", key="draft-undo", on_click=edited.undo,
            disabled=not edited.past or readonly is not None, help=readonly or ("Undo (Z)" if edited.past else "Nothing to undo."),
        )  # fmt: skip
        st.button(
            "Redo", icon=":material/redo:", key="draft-redo", on_click=edited.redo,
            disabled=not edited.future or readonly is not None,
            help=readonly or ("Redo (Shift-Z)" if edited.future else "Nothing to redo."),
        )  # fmt: skip
        more(client, edited)
        keys()
        saving(client, edited, changed)
        saved = now["pipeline"] and not changed
        off = blocked or access.why_not(Permission.WORK if saved else Permission.BUILD)
        if st.button(
            "Dry run on all rows",
            key="dry-run",
            disabled=off is not None,
            help=off or ("Goes" if saved else "Saves, then goes") + " through every row and keeps nothing.",
        ):
            id = save(client, edited)
            st.session_state[f"dry-{id}"] = client.start_run(id, dry_run=True, wait=0)
            frame.go("mapping", pipeline=id)
        off = blocked or (access.why_not(Permission.WORK) if saved else why_not_run(source))
        if st.button("Run", type="primary", disabled=off is not None, help=off):
            frame.go("runs", run=run(client, edited))


def saving(client: Client, edited: Draft, changed: bool) -> None:
    """Save as a version, with why, for whoever reads the versions later."""
    off = access.why_not(Permission.BUILD) or (None if changed else "Nothing has changed.")
    if off is not None:
        st.button("Save", key="draft-save", disabled=True, help=off)
        return
    with (
        st.popover("Save", key="draft-save", help="Save as a version (S)."),
        st.form("save-form", border=False),
    ):
        why = st.text_input("Why, in a few words (optional)", key="save-why", max_chars=200)
        version = (edited.now["newest"] or 0) + 1
        if st.form_submit_button(f"Save version {version}", type="primary"):
            id = save(client, edited, why)
            frame.tell("Saved.")
            frame.go("mapping", pipeline=id)


def more(client: Client, edited: Draft) -> None:
    """What is wanted now and then: the past, the name and which rows, templates, and putting the draft away."""
    # A popover does not close by itself over the dialog a press in it opens; a new one begins closed.
    turn = st.session_state.get("more-turn", 0)
    with st.popover("More", key=f"more-{turn}"), st.container(gap="small", width=260):
        past = "Versions, export and impact" if edited.now["pipeline"] else "YAML and SQL"
        ways = [(past, PAST), ("Name, rows and limits", OPEN)]
        if access.may(Permission.WORK):
            ways.append(("Begin with a template", beginnings.TEMPLATES))
        for label, place in ways:
            st.button(
                label, width="stretch", on_click=st.session_state.update,
                kwargs={place: edited.subject, "more-turn": turn + 1},
            )  # fmt: skip
        off = access.why_not(Permission.WORK) or (None if edited.revision else "There is nothing to discard.")
        st.button(
            "Discard the draft", width="stretch", on_click=access.attempt, args=(discard, edited), disabled=off is not None,
            help=off or "For everybody. What is saved stays.",
        )  # fmt: skip
        beginnings.templating(client, edited)
        for note in edited.now.get("notes") or []:
            st.caption(note)


def discard(edited: Draft) -> None:
    """Put the draft away, for all who write on it."""
    drafts.end(edited.subject, edited.revision)
    frame.tell("The draft was discarded.")


def past(client: Client, edited: Draft) -> None:
    """The past of the pipeline, over the page. It stays open while what others do redraws the page below."""
    if st.session_state.get(PAST) != edited.subject:
        return
    shown = st.dialog(
        "Versions, export and impact" if edited.now["pipeline"] else "YAML and SQL",
        width="large",
        on_dismiss=lambda: st.session_state.pop(PAST, None),
    )
    shown(versions)(client, edited)


def details(client: Client, edited: Draft, source: Any) -> None:
    """What a pipeline is besides its fields and rules, over the page."""
    if st.session_state.get(OPEN) != edited.subject:
        return
    shown = st.dialog(
        "Name, rows and limits", width="large", on_dismiss=lambda: st.session_state.pop(OPEN, None)
    )
    names = [field.name for field in source.shape.fields] if source.shape else []
    shown(particulars)(client, edited, names)


def templates(client: Client, edited: Draft) -> None:
    """A template in place of what is mapped, over the page."""
    if st.session_state.get(beginnings.TEMPLATES) != edited.subject:
        return
    shown = st.dialog(
        "Begin with a template", on_dismiss=lambda: st.session_state.pop(beginnings.TEMPLATES, None)
    )
    shown(beginnings.offer_templates)(client, edited)


def keys() -> None:
    with st.popover("?", key="keys-help", help="Keys"):
        for key, what in KEYS:
            st.html(f'<div class="sp-key"><kbd>{key}</kbd><span>{what}</span></div>')


def news(edited: Draft) -> None:
    """What somebody else did meanwhile, and this person's own edit where it could not be kept."""
    heard = edited.heard
    newest, of = edited.now.get("newest"), edited.now["version"]
    if newest and of and newest != of:
        frame.warn(
            f"<b>Version {newest} was saved by {escape(edited.now.get('newest_by') or '')} since this draft began.</b> "
            "Saving will be refused. Take a version into the draft under More, or discard the draft."
        )
    if heard is None:
        return
    me = access.principal().user
    with st.container(horizontal=True, vertical_alignment="center", key="news"):
        if not heard.who:
            text = "<b>The draft was saved or put away meanwhile.</b> This is what is saved now."
        else:
            who = "You, in another window," if heard.who == me else escape(heard.who)
            what = escape(", ".join(heard.parts[:6])) or "nothing that shows here"
            text = f"<b>{who} changed this {words.when(heard.at)}:</b> {what}."
        if heard.kept:
            text += " Your change is on top of it."
        if heard.mine is not None:
            text += f" Your change of {escape(', '.join(drafts.told(heard.mine)))} was not kept."
        frame.warn(text)
        if heard.mine is not None:
            st.button("Use mine", key="news-mine", on_click=edited.mine_again)
        st.button(
            "Keep this" if heard.mine is not None else "Put away", key="news-away", on_click=edited.hush
        )


def save(client: Client, edited: Draft, why: str = "") -> str:
    """Save the draft as a version, and give the pipeline's id."""
    now = edited.now
    if now["pipeline"] and not drafting.dirty(edited):
        return str(now["pipeline"])
    body = {
        "name": now["name"],
        "source": now["source"],
        "mappings": now["mappings"],
        "error_threshold": now["error_threshold"],
        "comment": why,
    }
    if now["pipeline"]:
        saved = client.replace_pipeline(now["pipeline"], **body, based_on=now["version"])
    else:
        saved = client.create_pipeline(**body)
    drafts.saved(edited)
    return str(saved.pipeline.id)


def run(client: Client, edited: Draft) -> int:
    """Save and run. An analyst, who may not save pipelines, runs the mapping as a job of its own."""
    if access.may(Permission.BUILD) or (edited.now["pipeline"] and not drafting.dirty(edited)):
        return client.start_run(save(client, edited)).run
    source = client.source(edited.now["source"]).source
    body = json.dumps(edited.now["mappings"]).encode()
    params = {"payload": source.config.get("upload"), "source": source.id, "wait": 0}
    headers = {"content-type": "application/yaml"}
    answer = client.request("POST", "/ingest", params=params, content=body, headers=headers)
    return IngestResult.model_validate_json(answer.content).run


def dry(client: Client, edited: Draft) -> None:
    """What a dry run found, until it is put away or something changes."""
    key = f"dry-{edited.now['pipeline']}"
    found = st.session_state.get(key)
    if found is None:
        return
    if found.version != edited.now["version"] or drafting.dirty(edited):
        frame.warn("The mapping has changed since the dry run; its result no longer speaks of it.")
    st.session_state[key] = review(client, found)
    if st.button("Put the dry run away", type="tertiary"):
        del st.session_state[key]
        st.rerun()


def page() -> None:
    client = access.client()
    pipeline, source = frame.asked("pipeline"), frame.asked("source")
    if not pipeline and source and not client.draft(f"source:{source}", known=0).revision:
        there = next((view for view in client.pipelines() if view.pipeline.source == source), None)
        pipeline = there.pipeline.id if there else ""
    if pipeline:
        studio(client, drafting.open_pipeline(client, pipeline))
    elif source:
        studio(client, drafting.open_source(client, source))
    else:
        mapping_list.overview(client)


frame.draw(page)
