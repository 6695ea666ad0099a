"""Quarantine: rows that could not be taken, by cause, each with its bytes and a way to repair it and its like."""

from __future__ import annotations

from html import escape
from typing import Any

import streamlit as st

from app.client import Client
from app.roles import Permission
from app.widgets import access, frame, words
from app.widgets.causes import plain_causes, proposed_causes
from app.widgets.form import form, missing
from app.widgets.listing import Column, Row, cell, figure, listing


def scope() -> dict[str, Any]:
    """Which rejects: of one run, of one pipeline, or all."""
    run, pipeline = frame.asked("run"), frame.asked("pipeline")
    return {"run": int(run)} if run.isdigit() else {"pipeline": pipeline} if pipeline else {}


def key_of(cause: Any) -> dict[str, Any]:
    return {"rule": cause.rule, "field": cause.field, "reason": cause.reason, **scope()}


def repair(client: Client, cause: Any, fix: Any, *, save: bool = False) -> None:
    """Apply a fix to all of a cause and replay just those."""
    done = client.repair(key_of(cause), fix, save=save)
    told = f"{words.count(done.repaired, 'reject')} repaired"
    if done.ledger:
        taken = sum(
            int(done.ledger.get(part, 0)) for part in ("inserted", "updated", "unchanged", "duplicate")
        )
        told += f" and replayed in run {done.run}: {words.count(taken, 'row')} taken, {done.ledger.get('rejected', 0):,} rejected again"
    if done.pipeline_version:
        told += f". The fix is part of the mapping now, version {done.pipeline_version}"
    if done.left:
        told += f". {words.count(done.left, 'row')} this fix does not reach"
    frame.tell(told + ".")


def causes_list(found: list[Any], selected: Any) -> None:
    most = max(cause.rows for cause in found)
    rows = [
        Row(
            str(cause.first),
            [
                cell(
                    cause.reason,
                    sub=f"Proposed: {cause.proposals[0].title}" if cause.proposals else "Needs you",
                    hint=cause.explanation,
                    wrap=True,
                ),
                figure(cause.rows),
                cell(bar=cause.rows / most),
            ],
        )
        for cause in found
    ]
    with frame.panel("Causes", "largest first", key="causes", flush=True):
        chosen = listing(
            "Causes",
            [Column(), Column(right=True), Column()],
            rows,
            key="cause-list",
            selected=str(selected.first),
            height=640,
        )
    if chosen.opened:
        st.query_params["cause"] = chosen.opened
        st.query_params.pop("row", None)
        st.rerun()


def original(reject: Any, source_field: str | None) -> None:
    """The row as it came, the cell that failed marked."""
    shown = escape(reject.raw.rstrip("\r\n"))
    value = reject.fields.get(source_field or "") if source_field else None
    if value and escape(value) in shown:
        shown = shown.replace(escape(value), f"<mark>{escape(value)}</mark>", 1)
    where = f"line {reject.line:,} of {reject.payload or 'its payload'}, run {reject.run}"
    st.html(frame.heading("Original row", where))
    st.html(
        f'<div class="sp-raw" tabindex="0" role="region" aria-label="Original row"><div><i>{reject.line}</i>{shown}</div></div>'
    )
    if reject.fixed is not None:
        st.html(f'<div class="sp-raw"><div><i>now</i>{escape(reject.fixed.rstrip())}</div></div>')
    if not reject.exact:
        st.caption("Some of its bytes are no text; they are shown as \\xNN and kept as they are.")


def proposals(client: Client, cause: Any) -> None:
    off = access.why_not(Permission.WORK)
    if not cause.proposals:
        st.caption(
            "No fix was found that repairs them. Edit a row, or fix all alike with a step of your own."
        )
    for place, proposal in enumerate(cause.proposals):
        kind = proposal.fix.kind
        always, never = kind == "mapping", kind == "pad"
        st.html(
            frame.heading(
                f"Proposed fix: {proposal.title}", f"repairs {proposal.repairs} of {proposal.tried} tried"
            )
        )
        if proposal.before is not None and proposal.after is not None:
            st.html(
                f'<div class="s"><code>{escape(proposal.before)}</code> becomes <code>{escape(proposal.after)}</code></div>'
            )
        row = st.container(horizontal=True, vertical_alignment="center", gap="small")
        with row:
            label = f"Apply to all {cause.rows:,} and replay"
            save = always or (not never and st.session_state.get(f"save-{place}", False))
            if st.button(
                label,
                key=f"apply-{place}",
                type="primary" if place == 0 else "secondary",
                disabled=off is not None,
                help=off,
            ):
                access.attempt(
                    repair, client, cause, proposal.fix.model_dump(mode="json", by_alias=True), save=save
                )
                st.rerun()
            if always:
                st.caption("Becomes part of the mapping.")
            elif not never:
                st.checkbox(
                    "Save as a step of the mapping",
                    key=f"save-{place}",
                    disabled=not access.may(Permission.BUILD),
                    help=access.why_not(Permission.BUILD),
                )


def edit(client: Client, cause: Any, reject: Any) -> None:
    """Correct this row: field by field where it reads as one, else its text."""
    off = access.why_not(Permission.WORK)
    with st.form(f"edit-{reject.id}", border=False):
        if reject.fields:
            order = sorted(reject.fields, key=lambda name: name != cause.source_field)
            grid = st.columns(3, gap="small")
            typed = {
                name: grid[i % 3].text_input(
                    name, value=reject.fields[name] or "", key=f"f-{reject.id}-{name}"
                )
                for i, name in enumerate(order)
            }
            text = None
        else:
            typed, text = (
                {},
                st.text_area(
                    "The line",
                    value=(reject.fixed or reject.raw).rstrip("\r\n"),
                    key=f"t-{reject.id}",
                    height=72,
                ),
            )
        row = st.container(horizontal=True, gap="small")
        only = row.form_submit_button("Save and replay this row", disabled=off is not None, help=off)
        alike = row.form_submit_button(
            f"Apply to all {cause.rows:,} alike",
            disabled=off is not None or text is not None,
            help=off or ("Only whole rows have fields to compare." if text is not None else None),
        )
        dismiss = row.form_submit_button("Dismiss this row", disabled=off is not None, help=off)
    changed = {name: value for name, value in typed.items() if value != (reject.fields[name] or "")}
    if dismiss:
        access.attempt(client.change_reject, reject.id, dismiss=True)
        st.rerun()
    if only:
        access.attempt(save_one, client, reject, changed, text)
        st.rerun()
    if alike:
        access.attempt(save_alike, client, cause, reject, changed)
        st.rerun()


def save_one(client: Client, reject: Any, changed: dict[str, str], text: str | None) -> None:
    if text is not None:
        client.change_reject(reject.id, text=text)
    elif changed:
        client.change_reject(reject.id, fields=changed)
    done = client.replay(ids=[reject.id])
    ledger = done.ledgers[0] if done.ledgers else {}
    again = int(ledger.get("rejected", 0))
    frame.tell(
        "It was rejected again; see its cause."
        if again
        else f"The row was taken in run {done.runs[0]}."
        if done.runs
        else "Nothing to replay."
    )


def save_alike(client: Client, cause: Any, reject: Any, changed: dict[str, str]) -> None:
    """The same change on every like row: this value becomes that one, or what is missing gets a value."""
    for name, value in changed.items():
        before = reject.fields.get(name) or ""
        fix = (
            {"kind": "map", "field": name, "values": {before: value}}
            if before
            else {"kind": "set", "field": name, "value": value}
        )
        repair(client, cause, fix)


def own_fix(client: Client, cause: Any, fields: list[str]) -> None:
    """A fix written by hand: a step of the catalogue on a source field of all like rows."""
    if not fields:
        st.caption("These lines have no fields to fix; correct a line's text instead.")
        return
    catalogue = {step.name: step for step in client.steps() if step.takes == "text"}
    one, two = st.columns(2, gap="small")
    at = fields.index(cause.source_field) if cause.source_field in fields else 0
    field = one.selectbox("Source field", fields, index=at, key="own-field")
    name = two.selectbox("Step", list(catalogue), format_func=lambda n: catalogue[n].title, key="own-step")
    schema = catalogue[name].options
    st.caption(catalogue[name].summary)
    options = form(schema, {}, key=f"own-{name}", fields=fields)
    lacking = missing(schema, options)
    save = st.checkbox(
        "Save as a step of the mapping", key="own-save", disabled=not access.may(Permission.BUILD)
    )
    off = access.why_not(Permission.WORK) or (f"Needs: {', '.join(lacking)}." if lacking else None)
    if st.button(
        f"Apply to all {cause.rows:,} and replay", key="own-apply", disabled=off is not None, help=off
    ):
        fix = {"kind": "steps", "field": field, "steps": [{"step": name, "options": options}]}
        access.attempt(repair, client, cause, fix, save=save)
        st.rerun()


def alike(rejects: list[Any], cause: Any, selected: int) -> None:
    rows = [
        Row(
            str(r.id),
            [
                figure(r.line, tone="muted"),
                cell(r.fields.get(cause.source_field) if cause.source_field else "", tone="bad"),
                cell(r.raw.rstrip(), tone="mono", hint=r.raw),
                cell("repaired, not replayed" if r.fixed is not None else "", tone="wait"),
            ],
        )
        for r in rejects
    ]
    heads = [Column("Line", right=True), Column(cause.source_field or ""), Column("As it came"), Column()]
    with frame.panel(
        f"The {cause.rows:,} alike",
        f"first {len(rows):,} by line" if cause.rows > len(rows) else "",
        key="alike",
        flush=True,
    ):
        chosen = listing("Rows alike", heads, rows, key="alike-list", selected=str(selected), height=300)
    if chosen.opened:
        st.query_params["row"] = chosen.opened
        st.rerun()


def detail(client: Client, cause: Any) -> None:
    found = client.rejects(rule=cause.rule, reason=cause.reason, limit=100, **scope()).rejects
    rejects = [reject for reject in found if reject.field == cause.field] or cause.examples
    wanted = frame.asked("row")
    reject = next((r for r in rejects if str(r.id) == wanted), rejects[0])
    with frame.panel(cause.reason, words.count(cause.rows, "reject"), key="cause"):
        st.caption(cause.explanation)
        original(reject, cause.source_field)
        names = ["Proposed fixes", "Edit this row", "Fix all alike", "Dismiss"]
        proposed, row, every, dismissed = st.tabs(names, default=names[0 if cause.proposals else 1])
        with proposed:
            proposals(client, cause)
        with row:
            edit(client, cause, reject)
        with every:
            own_fix(client, cause, list(reject.fields))
        with dismissed:
            dismiss(client, cause)
    alike(rejects, cause, reject.id)


def dismiss(client: Client, cause: Any) -> None:
    """Give the rows up, knowingly."""
    st.caption("They stay in the books as rejected, keep their bytes, and are not replayed.")
    off = access.why_not(Permission.WORK)
    if st.button(f"Dismiss {words.count(cause.rows, 'reject')}", disabled=off is not None, help=off):
        access.attempt(repair, client, cause, {"kind": "dismiss"})
        st.rerun()


def page() -> None:
    client = access.client()
    given = scope()
    plain = plain_causes(client, given)
    with st.spinner("Trying out fixes…"):
        found = proposed_causes(client, given, plain)
    names = {p.pipeline.id: p.pipeline.name for p in client.pipelines()}
    whose = (
        f"Run {given['run']}"
        if "run" in given
        else names.get(given["pipeline"], given["pipeline"])
        if given
        else "All pipelines"
    )
    total = sum(cause.rows for cause in found)
    if not found:
        actions = frame.head("Quarantine", f"{escape(whose)}: nothing waits here.")
        with actions:
            if given and st.button("Show all"):
                frame.go("quarantine")
            if st.button("See the records", type="primary"):
                frame.go("explorer")
        return
    sub = f"{escape(whose)}: {words.count(total, 'reject')} in {words.count(len(found), 'cause')}. Nothing here is lost; every row keeps its original bytes."
    actions = frame.head("Quarantine", sub)
    at = next((i for i, cause in enumerate(found) if str(cause.first) == frame.asked("cause")), 0)
    with actions:
        step(found, at)
        if given and st.button("Show all"):
            frame.go("quarantine")
        off = access.why_not(Permission.WORK)
        if st.button(
            "Replay",
            disabled=off is not None,
            help=off
            or "Runs all of these again through the mapping as it is now. Good after a change of the mapping.",
        ):
            access.attempt(replay_all, client, given)
            st.rerun()
    left, right = st.columns([3, 7], gap="small")
    with left:
        causes_list(found, found[at])
    with right:
        detail(client, found[at])


def step(found: list[Any], at: int) -> None:
    """Next and previous cause, by keyboard too."""

    def to(place: int) -> None:
        st.query_params["cause"] = str(found[place].first)
        st.query_params.pop("row", None)

    st.html(
        f'<div class="s m" style="line-height:32px">Cause {at + 1} of {len(found)}</div>', width="content"
    )
    st.button("Previous", on_click=to, args=(at - 1,), disabled=at == 0, shortcut="k")
    st.button("Next", on_click=to, args=((at + 1) % len(found),), disabled=at + 1 == len(found), shortcut="j")


def replay_all(client: Client, given: dict[str, Any]) -> None:
    done = client.replay(**given, all_open=True)
    again = sum(int(ledger.get("rejected", 0)) for ledger in done.ledgers)
    frame.tell(f"{words.count(done.replayed, 'reject')} replayed; {again:,} rejected again.")


frame.draw(page)
