"""What is done about rejects, what it did, and the way back."""

from __future__ import annotations

from html import escape
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from app.client import Client
from app.roles import Permission
from app.widgets import access, frame, words


def scope() -> dict[str, Any]:
    """Which rejects: of one run, of one pipeline, or all."""
    run, pipeline = frame.asked("run"), frame.asked("pipeline")
    return {"run": int(run)} if run.isdigit() else {"pipeline": pipeline} if pipeline else {}


def key_of(cause: Any) -> dict[str, Any]:
    return {"rule": cause.rule, "field": cause.field, "reason": cause.reason, **scope()}


def repair(client: Client, cause: Any, fix: Any, *, save: bool = False) -> None:
    """Apply a fix to those of a cause that it repairs, and replay just those."""
    done = client.repair(key_of(cause), fix, save=save)
    if fix["kind"] == "dismiss":
        frame.tell(
            f"{words.count(done.repaired, 'reject')} dismissed. Dismissed rows can be opened again below."
        )
        return
    told = f"{words.count(done.repaired, 'reject')} repaired"
    if done.ledger:
        told += f" and replayed in run {done.run}: {words.count(taken(done.ledger), 'row')} taken"
        told += f", {done.ledger.get('rejected', 0):,} rejected again"
    if done.pipeline_version:
        told += f". The fix is part of the mapping now, version {done.pipeline_version}"
    if done.left:
        told += f". {words.count(done.left, 'row')} this fix does not repair stay as they came"
    keep(done.run, f"{told}.", done.again)


def taken(ledger: dict[str, Any]) -> int:
    return sum(int(ledger.get(part, 0)) for part in ("inserted", "updated", "unchanged", "duplicate"))


def keep(run: int | None, told: str, again: list[Any]) -> None:
    """Keep what a repair did until the next one, so that it can be looked at and taken back."""
    st.session_state["repaired"] = (access.tenant(), run, told, again)


def repaired(client: Client) -> None:
    """What the last repair did, why rows came back, and the way back."""
    held = st.session_state.get("repaired")
    if held is None or held[0] != access.tenant():
        return
    _, run, told, again = held
    causes = "".join(f"<br>{each.rows:,} came back: {escape(each.reason)}" for each in again[:5])
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="panel-repaired"):
        tone = "wait" if again or not run else "ok"
        st.html(f'<div class="sp-notice {tone}" role="status">{escape(told)}{causes}</div>')
        if run and st.button(f"See run {run}"):
            frame.go("runs", run=run)
        off = access.why_not(Permission.WORK)
        if run and st.button(
            "Take it back", disabled=off is not None,
            help=off or "Removes what the replay wrote and puts the rows back as they came. A saved step stays.",
        ):  # fmt: skip
            access.attempt(take_back, client, run)
            st.rerun()
        if st.button("Close", type="tertiary"):
            del st.session_state["repaired"]
            st.rerun()


def take_back(client: Client, run: int) -> None:
    back = client.take_back(run)
    del st.session_state["repaired"]
    frame.tell(
        f"Taken back: {words.count(back.rejects, 'reject')} wait again as they came, "
        f"{words.count(back.removed, 'version')} removed."
    )


def save_one(client: Client, reject: Any, changes: dict[str, Any]) -> None:
    client.change_reject(reject.id, **changes)
    done = client.replay(ids=[reject.id])
    ledger = done.ledgers[0] if done.ledgers else {}
    run = done.runs[0] if done.runs else None
    if int(ledger.get("rejected", 0)):
        keep(run, f"The row was rejected again in run {run}.", done.again)
    else:
        keep(run, f"The row was taken in run {run}." if run else "There was nothing to replay.", [])


def replay_all(client: Client, given: dict[str, Any]) -> None:
    done = client.replay(**given, all_open=True)
    back = sum(int(ledger.get("rejected", 0)) for ledger in done.ledgers)
    told = f"{words.count(done.replayed, 'reject')} replayed as they are; {back:,} rejected again."
    keep(done.runs[0] if len(done.runs) == 1 else None, told, done.again)


def exporting(total: int, given: dict[str, Any], label: str = "Export") -> None:
    """The rejects as a file, which the browser fetches by itself."""
    with st.popover(label):
        st.caption(
            f"{words.count(total, 'reject')}, each with its cause, its line as it came, its file and line number."
        )
        for format, title in (("csv", "CSV"), ("ndjson", "NDJSON")):
            query = urlencode({"format": format, **given})
            st.link_button(
                f"Download {title}", f"/api/v1/tenants/{access.tenant()}/rejects/export?{query}",
                width="stretch",
            )  # fmt: skip
        st.caption("In CSV, a cell that a spreadsheet would run as a formula has an apostrophe before it.")


def dismiss(client: Client, cause: Any, reject: Any) -> None:
    """Give rows up, knowingly."""
    off = access.why_not(Permission.WORK)
    with st.popover("Dismiss", disabled=off is not None, help=off):
        st.caption("Dismissed rows stay in the books as rejected, keep their bytes, and are not replayed.")
        reason = st.text_input("Reason", key="dismiss-reason", placeholder="for example: a footer, no data")
        if st.button(f"Dismiss {words.count(cause.rows, 'reject')}"):
            access.attempt(repair, client, cause, {"kind": "dismiss", "reason": reason})
            st.rerun()
        if cause.rows > 1 and st.button("Dismiss this row only"):
            access.attempt(client.change_reject, reject.id, dismiss=True, reason=reason)
            st.rerun()
