"""Mapping: from the fields of a source to those of a target model, with its output beside it."""

from __future__ import annotations

import json
from html import escape
from typing import Any

import streamlit as st

from app.client import Client
from app.roles import Permission
from app.tenant.schemas.runs import IngestResult
from app.widgets import access, drafts, field_editor, frame, words
from app.widgets import mapping_draft as drafting
from app.widgets.board import board
from app.widgets.drafts import Draft
from app.widgets.ledger import picture
from app.widgets.listing import Column, Row, cell, figure, listing
from app.widgets.output import caught, output, text_of
from app.widgets.running import why_not_run
from app.widgets.versions import versions


def overview(client: Client) -> None:
    frame.head("Mapping", "A pipeline is a source, its mappings and rules. Every save is a version.")
    pipelines = client.pipelines()
    rows = [
        Row(
            view.pipeline.id,
            [
                cell(view.pipeline.name),
                cell(view.pipeline.source, tone="muted"),
                cell(
                    ", ".join(m.target for m in view.pipeline.mappings[:3])
                    + ("…" if len(view.pipeline.mappings) > 3 else "")
                ),
                figure(view.version),
                cell(
                    f"Run {view.last_run}" if view.last_run else "not yet",
                    tone="" if view.last_run else "muted",
                ),
                cell(words.ago(view.at), tone="muted", hint=words.exact(view.at)),
            ],
            href=access.address("mapping", pipeline=view.pipeline.id),
        )
        for view in pipelines
    ]
    heads = [
        Column("Pipeline"),
        Column("Source"),
        Column("Onto"),
        Column("Version", right=True),
        Column("Last run"),
        Column("Saved"),
    ]
    with frame.panel("Pipelines", key="pipelines", flush=True):
        chosen = listing("Pipelines", heads, rows, key="pipeline-list", none="None yet.")
    if chosen.opened:
        frame.go("mapping", pipeline=chosen.opened)
    mapped = {view.pipeline.source for view in pipelines}
    fresh = [view.source for view in client.sources() if view.source.id not in mapped]
    rows = [
        Row(
            source.id,
            [cell(source.name), cell("Map", act="map")],
            href=access.address("mapping", source=source.id),
        )
        for source in fresh
    ]
    with frame.panel("Sources without a mapping", key="fresh", flush=True):
        chosen = listing(
            "Sources without a mapping", [Column(), Column(right=True)], rows, key="fresh-list", none="None."
        )
    if chosen.opened or chosen.row:
        frame.go("mapping", source=chosen.opened or chosen.row)


def studio(client: Client, edited: Draft) -> None:
    source = client.source(edited.now["source"]).source
    models = {view.target.name: view.target for view in client.targets()}
    if not edited.now["mappings"]:
        frame.head(edited.now["name"], "Nothing fits by itself. Choose what these rows are.")
        choose_target(client, edited, models)
        return
    mapping = drafting.mapping_of(edited)
    target = models[mapping["target"]]
    lacking = [f.name for f in target.fields if f.required and drafting.field_of(edited, f.name) is None]
    header(client, edited, source, target, lacking)
    dry(client, edited)
    fields = [f.name for f in source.shape.fields] if source.shape else []
    selected = frame.asked("field")
    if selected not in {f.name for f in target.fields}:
        selected = next((f["field"] for f in mapping["fields"] if f.get("steps")), target.fields[0].name)
    preview = previewed(client, edited)
    left, right = st.columns([11, 6], gap="small")
    with left, frame.panel(key="board"):
        bar(client, edited, models, lacking)
        board(edited, target, fields, selected)
    with right:
        with frame.panel(selected, "steps", key="field"):
            catalogue = {step.name: step for step in client.steps()}
            field_editor.field_editor(edited, target.field(selected), catalogue, fields)
        with frame.panel("Rules", "rows caught in the preview", key="rules"):
            field_editor.rules(edited, target, selected, caught(preview, target.name) if preview else {})
        with frame.panel("Which rows", key="where"):
            where(edited)
    if preview is not None:
        with frame.panel("Output", preview.extent, key="output"):
            order = sorted((f.name for f in target.fields), key=lambda name: not target.field(name).required)
            output(preview, mapping, order, key="output")
    with st.expander("Versions, export and impact"):
        versions(client, edited)


def header(client: Client, edited: Draft, source: Any, target: Any, lacking: list[str]) -> None:
    now = edited.now
    changed = drafting.dirty(edited)
    state = f"Version {now['version']}" if now["version"] else "Not saved yet"
    if now["version"] and changed:
        state = f"Draft on version {now['version']}"
    sub = f"{escape(now['source'])} → target model <b>{escape(target.name)}</b>. {state}"
    if changed:
        sub += f", changed {words.when(edited.at)}"
    chips = [(f"{words.count(len(lacking), 'required field')} unmapped", "wait")] if lacking else []
    crumb = frame.link("Mapping", "mapping")
    actions = frame.head(now["name"], sub, crumb=crumb, chips=chips)
    blocked = f"Map {', '.join(lacking)} first." if lacking else None
    with actions:
        st.button(
            "Undo",
            icon=":material/undo:",
            on_click=edited.undo,
            disabled=not edited.past,
            help=None if edited.past else "Nothing to undo.",
        )
        st.button(
            "Redo",
            icon=":material/redo:",
            on_click=edited.redo,
            disabled=not edited.future,
            help=None if edited.future else "Nothing to redo.",
        )
        off = access.why_not(Permission.BUILD) or (None if changed else "Nothing has changed.")
        if st.button("Save", disabled=off is not None, help=off):
            id = save(client, edited)
            frame.tell("Saved.")
            frame.go("mapping", pipeline=id)
        off = blocked or access.why_not(Permission.BUILD)
        if st.button(
            "Dry run on all rows",
            disabled=off is not None,
            help=off or "Saves, then goes through every row and keeps nothing.",
        ):
            id = save(client, edited)
            st.session_state[f"dry-{id}"] = client.start_run(id, dry_run=True)
            frame.go("mapping", pipeline=id)
        saved = now["pipeline"] and not changed
        off = blocked or (access.why_not(Permission.WORK) if saved else why_not_run(source))
        if st.button("Run", type="primary", disabled=off is not None, help=off):
            frame.go("runs", run=run(client, edited))


def save(client: Client, edited: Draft) -> str:
    """Save the draft as a version, and give the pipeline's id."""
    now = edited.now
    if now["pipeline"] and not drafting.dirty(edited):
        return str(now["pipeline"])
    body = {
        "name": now["name"],
        "source": now["source"],
        "mappings": now["mappings"],
        "error_threshold": now["error_threshold"],
    }
    if now["pipeline"]:
        saved = client.replace_pipeline(now["pipeline"], **body, based_on=now["version"])
    else:
        saved = client.create_pipeline(**body)
    drafts.end(now["subject"])
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


def bar(client: Client, edited: Draft, models: dict[str, Any], lacking: list[str]) -> None:
    """The board's head: which mapping, onto what, and what can be accepted at once."""
    row = st.container(horizontal=True, vertical_alignment="bottom", gap="small")
    with row:
        if len(edited.now["mappings"]) > 1:
            places = range(len(edited.now["mappings"]))
            key = f"{edited.now['subject']}-at"
            st.session_state[key] = edited.now["at"]
            st.selectbox(
                f"Mapping, one of {len(places)}", places, key=key,
                format_func=lambda i: edited.now["mappings"][i]["target"],
                on_change=lambda: edited.now.update(at=st.session_state[key], suggested={}),
            )  # fmt: skip
        else:
            choose_target(client, edited, models)
        sure = drafting.waiting(edited, drafting.SURE)
        if sure:
            st.button(
                f"Accept {len(sure)} at {drafting.SURE} % or more",
                on_click=drafting.accept,
                args=(edited, sure),
            )
    for note in edited.now.get("notes") or []:
        st.caption(note)


def choose_target(client: Client, edited: Draft, models: dict[str, Any]) -> None:
    fits = edited.now.get("fits") or {}
    names = sorted(models, key=lambda name: (-fits.get(name, 0), name))
    key = f"{edited.now['subject']}-target"
    current = drafting.mapping_of(edited)["target"] if edited.now["mappings"] else None
    st.session_state[key] = current

    def chosen() -> None:
        if st.session_state[key]:
            access.attempt(drafting.choose_target, client, edited, st.session_state[key])

    st.selectbox(
        "Target model", names, key=key, placeholder="Choose a target model", on_change=chosen,
        format_func=lambda n: f"{models[n].title or n} ({fits[n]} % fit)" if n in fits else models[n].title or n,
    )  # fmt: skip


def where(edited: Draft) -> None:
    mapping = drafting.mapping_of(edited)
    key = f"{edited.now['subject']}-{edited.now['at']}-where"
    st.session_state[key] = mapping.get("where") or ""
    st.text_input(
        "Only rows where", key=key, placeholder="all rows; for example \"type\" = 'ip'", label_visibility="collapsed",
        on_change=lambda: drafting.change(edited, where=st.session_state[key] or None),
    )  # fmt: skip


def previewed(client: Client, edited: Draft) -> Any:
    """What the mapping makes of a sample; asked again only when something changed."""
    mapping = drafting.mapping_of(edited)
    if not mapping["fields"]:
        return None
    # All of them: a row goes to the first mapping that takes it, as it does in a run.
    mappings = edited.now["mappings"]
    mark = json.dumps([access.tenant(), edited.now["source"], mappings], sort_keys=True)
    kept = st.session_state.get("preview")
    if kept is None or kept[0] != mark:
        found = access.attempt(client.preview, edited.now["source"], mappings)
        if found is None:
            frame.notice(st.session_state.pop("problem"))
            return None
        kept = st.session_state["preview"] = (mark, found)
    return kept[1]


def dry(client: Client, edited: Draft) -> None:
    """What a dry run found, until it is put away or something changes."""
    key = f"dry-{edited.now['pipeline']}"
    found = st.session_state.get(key)
    if found is None:
        return
    if found.version != edited.now["version"] or drafting.dirty(edited):
        frame.warn("The mapping has changed since the dry run; its result no longer speaks of it.")
    picture(found.ledger, f"dry run on all {found.ledger.read:,} rows; nothing was kept")
    with st.expander("Ten examples of each"):
        for outcome, examples in found.examples.items():
            if examples:
                rows = [
                    Row(str(i), [cell(text_of(example), hint=text_of(example))], go=False)
                    for i, example in enumerate(examples)
                ]
                st.html(frame.heading(outcome, words.count(len(examples), "example")))
                listing(outcome, [Column()], rows, key=f"dry-{outcome}")
    if st.button("Put the dry run away", type="tertiary"):
        del st.session_state[key]
        st.rerun()


def page() -> None:
    client = access.client()
    pipeline, source = frame.asked("pipeline"), frame.asked("source")
    if not pipeline and source and drafts.draft(f"source:{source}") is None:
        there = next((view for view in client.pipelines() if view.pipeline.source == source), None)
        pipeline = there.pipeline.id if there else ""
    if pipeline:
        studio(client, drafting.open_pipeline(client, pipeline))
    elif source:
        studio(client, drafting.open_source(client, source))
    else:
        overview(client)


frame.draw(page)
