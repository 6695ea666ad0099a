"""The drift card: how a source has changed, the mapping that follows it tried on the run's own payload, and the contract."""

from __future__ import annotations

from html import escape
from typing import Any, Literal

import streamlit as st

from app.client import Client
from app.roles import Permission
from app.widgets import access, frame, words
from app.widgets.listing import Column, Row, cell, listing
from app.widgets.output import text_of

KINDS = {"new": "New field", "rename": "Renamed", "type": "Other values", "vanished": "Gone"}
TONES = {"new": "ok", "rename": "wait", "type": "bad", "vanished": "bad"}
WORDS = {
    "evolve": "Go on",
    "discard value": "Leave the value out, and count",
    "discard row": "Put the row into quarantine",
    "freeze": "Stop the run, keep nothing",
}
PARTS = {
    "new_fields": "A field that is new",
    "type_changes": "Values of another type",
    "vanished_fields": "A field that is gone",
}
STATES = {
    "accepted": "The mapping follows it, by {who}.",
    "dismissed": "{who} took it as it should be.",
    "superseded": "A later run has looked at the source since.",
}
SHOWN = 6
COLUMNS = 4
_MARKS = {"added": "+", "removed": "−", "changed": "~"}


def card(client: Client, found: Any, *, name: str = "", key: str = "drift", lead: bool = False) -> None:
    """Draw what a run found, and what can be done about it where nobody has answered yet.

    `lead` where that is the first thing to do on its page.
    """
    rows = words.count(found.looked, "row")
    of = f"{rows} of run {found.run}" if found.run else f"the first {rows} of what its next run will read"
    of = f"{name}: {of}" if name else of
    with frame.panel("The source has changed", of, key=key, flush=True):
        listing(
            "How the source has changed",
            [Column("What"), Column("How"), Column("Such as"), Column("The contract says")],
            [_finding(each) for each in found.findings],
            key=f"{key}-list",
            widest=520,
        )
        box = st.container(key=f"drift-next-{key}")
    with box:
        if found.state != "open":
            st.caption(STATES.get(found.state, "").format(who=found.who or "Somebody"))
            return
        _answer(client, found, key, lead)


def _finding(each: Any) -> Row:
    used = "" if each.read or each.kind == "new" else "The mapping does not read it."
    said = WORDS[each.word] if each.read or each.kind == "new" else "Nothing"
    return Row(
        f"{each.kind}-{each.field}",
        [
            cell(KINDS[each.kind], chip=TONES[each.kind]),
            cell(each.says, sub=used, wrap=True),
            cell(", ".join(each.examples), tone="mono", hint=", ".join(each.examples)),
            cell(said, tone="muted"),
        ],
        go=False,
    )


def _answer(client: Client, found: Any, key: str, lead: bool) -> None:
    """See the patch, take it, or say that all is well."""
    kept = f"{key}-patch-{found.pipeline}-{found.run}"
    patch = st.session_state.get(kept)
    row = st.container(horizontal=True, gap="small", vertical_alignment="center")
    off = access.why_not(Permission.WORK)
    kind: Literal["primary", "secondary"] = "primary" if lead and patch is None else "secondary"
    if row.button(
        "See the mapping that follows", type=kind, disabled=off is not None,
        help=off or "Tries it on what the source gave. Nothing is kept.", key=f"{key}-try",
    ):  # fmt: skip
        with st.spinner("Trying it on what the source gave. Nothing is kept."):
            patch = st.session_state[kept] = access.attempt(client.try_drift, found.pipeline, found.run)
        if patch is not None and lead:
            # The next thing to do is to take it.
            st.rerun()
    build = access.why_not(Permission.BUILD)
    row.button(
        "It is as it should be", disabled=build is not None, key=f"{key}-dismiss",
        help=build or "The mapping stays, and this is not told again.", on_click=_dismiss, args=(client, found),
    )  # fmt: skip
    if found.quarantined:
        row.html(
            f'<span class="s m">{words.count(found.quarantined, "row")} of the run in quarantine.</span>'
        )
    problem = st.session_state.pop("problem", None)
    if problem is not None:
        frame.notice(problem)
    if patch is not None:
        _patch(client, found, patch, key)


def _patch(client: Client, found: Any, patch: Any, key: str) -> None:
    left, right = st.columns([2, 3], gap="medium")
    with left:
        lines = "".join(
            f'<li><span class="{c.how}" aria-label="{c.how}">{_MARKS[c.how]}</span><span>{escape(c.says)}</span></li>'
            for c in patch.changes
        )
        nothing = "<li><span></span><span>The mapping itself stays as it is.</span></li>"
        st.html(f'<ul class="sp-diff" aria-label="What changes in the mapping">{lines or nothing}</ul>')
        for note in patch.notes:
            st.html(f'<div class="s m">{escape(note)}</div>')
    with right:
        st.html(_outcome(patch))
        _rows(patch.after, key)
    build = access.why_not(Permission.BUILD)
    again = f" and replay {words.count(patch.quarantined, 'reject')}" if patch.quarantined else ""
    st.button(
        f"Take it{again}", type="primary", disabled=build is not None, help=build, key=f"{key}-accept",
        on_click=_accept, args=(client, found, patch),
    )  # fmt: skip


def _outcome(patch: Any) -> str:
    before, after = patch.before, patch.after
    told = f"In a {after.extent}" if after.extent.startswith("sample") else f"In {after.extent}"
    good = f"<b>{after.good + after.warned:,} good</b>, {before.good + before.warned:,} with the mapping as it is"
    bad = f"{after.rejected:,} rejected, {before.rejected:,} with the mapping as it is"
    replay = (
        f" {patch.would_pass:,} of {words.count(patch.quarantined, 'reject')} of the run would be taken."
        if patch.quarantined
        else ""
    )
    return f'<div role="status">{escape(told)}: {good}; {bad}.{replay}</div>'


def _rows(after: Any, key: str) -> None:
    """Some records as they would be."""
    shown = [row for row in after.rows if row.values][:SHOWN]
    names = [
        n
        for n in dict.fromkeys(n for row in shown for n in row.values)
        if n != "id" and any(row.values.get(n) for row in shown)
    ]
    listing(
        "Records as they would be",
        [Column(name) for name in names[:COLUMNS]],
        [
            Row(str(row.line), [cell(text_of(row.values.get(n)), hint=text_of(row.values.get(n))) for n in names[:COLUMNS]], go=False)
            for row in shown
        ],
        key=f"{key}-rows",
        none="No row became a record.",
        height=200,
        widest=180,
    )  # fmt: skip


def _accept(client: Client, found: Any, patch: Any) -> None:
    done = access.attempt(client.accept_drift, found.pipeline, found.run, patch.based_on)
    if done is None:
        return
    told = f"Version {done.version} follows the source."
    if done.replayed:
        taken = (done.ledger or {}).get("inserted", 0) + (done.ledger or {}).get("updated", 0)
        told += f" {words.count(done.replayed, 'reject')} replayed: {taken:,} taken."
    elif not found.run:
        told += " The next run reads it so."
    elif found.froze:
        told += " Run it again: the run that stopped kept nothing."
    frame.tell(told)


def _dismiss(client: Client, found: Any) -> None:
    access.attempt(client.dismiss_drift, found.pipeline, found.run)
    frame.tell("Noted: the source is as it should be.")


def contract(client: Client, view: Any, *, key: str) -> None:
    """What a run does where the source has changed, each word in words."""
    now = view.pipeline.contract
    off = access.why_not(Permission.BUILD)
    with frame.panel("When the source changes", "what a run does then", key=key):
        chosen = {
            part: st.selectbox(
                label, list(WORDS), index=list(WORDS).index(getattr(now, part)), format_func=WORDS.__getitem__,
                key=f"{key}-{part}-{view.version}", disabled=off is not None, help=off,
            )
            for part, label in PARTS.items()
        }  # fmt: skip
        same = "This is what it says." if chosen == now.model_dump() else None
        frame.act(
            "Save the contract", client.change_contract, view.pipeline.id, chosen, view.version,
            off=off or same, key=f"{key}-save",
        )  # fmt: skip
