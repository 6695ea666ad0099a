"""A run as people see it: its outcome in words, its stages, and starting one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from html import escape
from typing import Any

import streamlit as st

from app.client import Client
from app.roles import Permission
from app.tenant.schemas.runs import IngestResult, RunView
from app.widgets import access, frame, words
from app.widgets.ledger import picture
from app.widgets.listing import Column, Row, cell, listing
from engine.errors import SpireError

STAGES = {
    "fetch": "Fetch and seal",
    "read": "Read",
    "stage": "Map and check",
    "commit": "Commit",
}
KINDS = {"run": "Run", "replay": "Replay", "dry": "Dry run"}

HTML = """
<div class="go" role="group" aria-label="Progress"><div class="head"><b class="rows"></b><span class="rate"></span><span class="sp"></span><span class="left"></span></div>
<div class="bar" role="progressbar" aria-label="Share read" aria-valuemin="0" aria-valuemax="100"><i></i></div><p class="note" role="status"></p></div>
"""
CSS = """
.go { font: 400 13px/20px var(--st-font); color: var(--text); font-feature-settings: "tnum", "cv05"; border: 1px solid var(--border); border-radius: var(--r-3); padding: 12px 16px; }
.head { display: flex; gap: 12px; align-items: baseline; } .rows { font-size: 20px; line-height: 28px; font-weight: 600; font-variant-numeric: tabular-nums; } .rate, .left, .note { color: var(--muted); } .sp { flex: 1; }
.bar { height: 8px; margin-top: 8px; border-radius: 4px; background: var(--bg-3); overflow: hidden; } .bar i { display: block; height: 100%; width: 0; background: var(--l-inserted); border-radius: 4px; transition: width .9s linear; }
.bar.open i { width: 100%; background: repeating-linear-gradient(135deg, var(--l-unchanged) 0 8px, transparent 8px 16px); }
.note { margin: 4px 0 0; min-height: 20px; font-size: 12px; }
@media (prefers-reduced-motion: reduce) { .bar i { transition: none; } }
"""
JS = """
export default function ({ data, parentElement: root }) {
  const at = name => root.querySelector('.' + name), say = (e, text) => { if (e.textContent !== text) e.textContent = text; };
  say(at('rows'), data.rows); say(at('rate'), data.rate); say(at('left'), data.left); say(at('note'), data.note);
  const bar = at('bar'), known = data.share !== null;
  bar.classList.toggle('open', !known); bar.firstElementChild.style.width = known ? 100 * data.share + '%' : '';
  if (known) bar.setAttribute('aria-valuenow', Math.round(100 * data.share)); else bar.removeAttribute('aria-valuenow');
}
"""
_progress = st.components.v2.component("spire_progress", html=HTML, css=CSS, js=JS)


def took(run: Any) -> float | None:
    """Seconds a run took; None while it lasts."""
    return max((run.finished - run.started).total_seconds(), 0.001) if run.finished else None


def rate(run: Any) -> str:
    """Rows a second of a run that is over, in words."""
    spent = took(run)
    return f"{run.ledger.read / spent:,.0f} rows a second" if spent and run.ledger.read else ""


def short(seconds: float) -> str:
    """A stage's time: in milliseconds where seconds would say nothing."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else words.seconds(seconds)


def brief(number: float) -> str:
    """A rate in three figures or so: 2.3 M, 89.8 k, 640."""
    for size, mark in ((1e6, " M"), (1e3, " k")):
        if number >= size:
            return f"{number / size:.3g}{mark}"
    return f"{number:.0f}"


def cause_of(run: Any) -> str:
    """Why a run ended as it did, in plain words; empty where all is well."""
    if not run.error:
        return ""
    return " ".join(str(run.error[part]) for part in ("title", "where") if run.error.get(part))


def outcome(run: RunView) -> tuple[str, str]:
    """What became of a run in a few words, and their tone."""
    if run.state == "running":
        return "Running", "muted"
    if run.state == "undone":
        return "Undone", "muted"
    if run.state == "cancelled":
        return "Cancelled, what it committed stays", "wait"
    if run.state == "failed":
        return "Failed", "bad"
    if not run.ledger.balanced:
        return "Books do not balance", "bad"
    if run.ledger.rejected:
        return f"Balanced, {words.count(run.ledger.rejected, 'reject')}", "bad"
    if not run.ledger.read:
        return "Nothing to read", "muted"
    if not run.ledger.inserted and not run.ledger.updated:
        return "Balanced, nothing new", "muted"
    return "Balanced", "ok"


def onward(client: Client, run: Any) -> str:
    """HTML of where this run left its source, and when the next one is due."""
    if run.kind != "run" or run.state == "running":
        return ""
    told = ""
    with suppress(SpireError):
        # A deleted pipeline stands nowhere.
        stands = client.cursor(run.pipeline)
        told = (
            f" It left its source here: {escape(stands.says)}"
            if stands.moves and stands.run == run.run
            else ""
        )
    found = access.control("GET", "/schedules", tenant=access.tenant())
    due = [one["next"][0]["utc"] for one in found if one["pipeline"] == run.pipeline and one["next"]]
    return f"{told} Next run {words.when(min(due))}." if due else told


def extent_of(run: Any) -> str:
    """Of how many rows a run's ledger speaks; "all" only where it came to the end."""
    read = words.count(run.ledger.read, "row")
    if run.state == "cancelled":
        return f"{read}, then it was cancelled"
    if run.state == "failed":
        return f"{read}, then it failed" if run.ledger.read else ""
    return f"all {read}"


def stages(found: Sequence[Any], notes: dict[str, str], rows: int, *, whole: float, key: str) -> None:
    """The stages from when to when each lasted, against the whole run; they overlap."""
    order = list(STAGES)
    listed = sorted(found, key=lambda s: order.index(s.stage) if s.stage in order else len(order))
    end = max([whole, *(s.end or s.seconds for s in listed)]) or 1
    lines = []
    for each in listed:
        start, until = (each.start, each.end) if each.end is not None else (0.0, each.seconds)
        lasted = max(until - (start or 0.0), 0.001)
        hint = f"from {words.seconds(start or 0)} to {words.seconds(until)}; {words.seconds(each.seconds)} of work"
        lines.append(
            Row(
                each.stage,
                [
                    cell(
                        STAGES.get(each.stage, each.stage), tone="b", sub=notes.get(each.stage, ""), hint=hint
                    ),
                    cell(span=[(start or 0.0) / end, until / end], hint=hint),
                    cell(short(lasted), sub=f"{brief(rows / lasted)} rows/s" if rows else "", hint=hint),
                ],
                go=False,
            )
        )
    listing(
        "Stages",
        [Column(), Column(width="46%"), Column(right=True)],
        lines,
        key=key,
        none="Nothing was measured.",
    )


def watch(number: int, *, then: Callable[[Any], None], key: str, done: str = "committed") -> None:
    """Show a run under way, once a second and in place; `then` is done with it when it has ended.

    `done` says what becomes of a batch that went through.
    """

    @st.fragment(run_every=1.0)
    def watching() -> None:
        run = access.client().run(number)
        if run.state != "running":
            then(run)
            st.rerun(scope="app")
        progress = run.progress
        rows = progress.rows if progress else run.ledger.read
        left = progress.left if progress else None
        share = progress.share if progress else None
        note = "Ends with the batch it is at." if progress and progress.cancelling else ""
        _progress(
            key=f"{key}-progress",
            data={
                "rows": words.count(rows, "row") + " read",
                "rate": f"{progress.rate:,.0f} rows a second" if progress and rows else "",
                "left": ("" if share is None else f"{words.percent(share, 1)} of the payload")
                + (f", about {words.seconds(left)} left" if left is not None and left > 1 else ""),
                "share": None if share is None else min(max(share, 0.0), 1.0),
                "note": note,
            },
        )
        picture(
            run.ledger, f"{words.count(run.ledger.read, 'row')} {done} so far", key=f"{key}-ledger", open=True
        )
        with frame.panel("Stages", "they overlap", key=f"{key}-stages", flush=True):
            found = progress.stages if progress else []
            stages(found, {}, rows, whole=progress.passed if progress else 0.0, key=f"{key}-stage-list")

    watching()


def why_not_run(source: Any) -> str | None:
    """Why this person can't run a source that describes itself, None where they can.

    An analyst may not save pipelines, and only a received file can be run without one.
    """
    if access.may(Permission.WORK) and source.connector != "upload":
        return access.why_not(Permission.BUILD)
    return access.why_not(Permission.WORK)


def run_source(client: Client, source: Any) -> int:
    """Run a self-describing source as it is: through its pipeline, or a new one. Gives the run's number."""
    there = next((p for p in client.pipelines() if p.pipeline.source == source.id), None)
    if there is None and access.may(Permission.BUILD):
        there = client.create_pipeline(
            name=source.name, source=source.id, mappings=list(source.shape.mappings)
        )
    if there is not None:
        return client.start_run(there.pipeline.id).run
    done = client.post("/ingest", IngestResult, payload=source.config.get("upload"), source=source.id, wait=0)
    return done.run
