"""Output beside input: what the mapping makes of a sample, changed cells tinted, failures red with their reason."""

from __future__ import annotations

import copy
import json
import re
from collections import Counter
from collections.abc import Collection
from typing import Any

import streamlit as st

from app.client import Client
from app.widgets import access, words
from app.widgets import mapping_draft as drafting
from app.widgets.drafts import Draft
from engine.errors import SpireError

HTML = """<div class="out"></div>"""
CSS = """
.out { font: 400 13px/16px var(--st-font); color: var(--text); font-feature-settings: "tnum", "cv05"; } .bar { display: flex; align-items: center; gap: 8px; padding: var(--bar, 0 0 8px); min-height: 26px; flex-wrap: wrap; } .m { color: var(--muted); } .s { font-size: 12px; } .sp { flex: 1; }
.stale { border-radius: 4px; background: var(--wait-soft); color: var(--wait-text); padding: 2px 6px; font-size: 12px; font-weight: 500; }
.seg { display: inline-flex; border: 1px solid var(--border); border-radius: 6px; overflow: hidden; } .seg button { border: 0; background: none; color: var(--muted); font: 400 12px/24px var(--st-font); padding: 0 8px; cursor: pointer; white-space: nowrap; } .seg button + button { border-left: 1px solid var(--border); } .seg button[aria-checked=true] { background: var(--bg-3); color: var(--text); font-weight: 600; }
.wrap { overflow: auto; border-top: 1px solid var(--border); } table { border-collapse: separate; border-spacing: 0; width: 100%; } caption { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
th { position: sticky; top: 0; z-index: 2; background: var(--bg-2); font: 500 12px/16px var(--st-font); color: var(--muted); text-align: left; height: 28px; padding: 0 8px; border-bottom: 1px solid var(--border); white-space: nowrap; } th.w { color: var(--wait-text); } th.on { color: var(--text); font-weight: 600; box-shadow: inset 0 -2px 0 var(--text); } th i { font-style: normal; color: var(--accent-text); padding-left: 4px; } th i.w { color: var(--wait-text); } th:first-child { left: 0; z-index: 3; }
td { height: 37px; padding: 0 8px; border-bottom: 1px solid var(--border); white-space: nowrap; max-width: 220px; box-sizing: border-box; cursor: pointer; } .r { text-align: right; font-variant-numeric: tabular-nums; } .c { display: block; overflow: hidden; text-overflow: ellipsis; } small { display: block; font-size: 12px; line-height: 15px; color: var(--muted); overflow: hidden; text-overflow: ellipsis; }
tbody th { position: sticky; top: auto; left: 0; z-index: 1; background: var(--bg); color: var(--muted); font: 400 13px/16px var(--st-font); text-align: right; font-variant-numeric: tabular-nums; height: 37px; border-bottom: 1px solid var(--border); border-right: 1px solid var(--border); max-width: 170px; } tbody th small.bad { color: var(--bad-text); } tr.on th { color: var(--text); font-weight: 600; background: var(--bg-2); }
td.ch { background: var(--changed); color: var(--changed-text); box-shadow: inset -1px 0 0 var(--bg), inset 1px 0 0 var(--bg); } td.ch small { color: inherit; opacity: .85; } td.er { background: var(--bad-soft); color: var(--bad-text); font-weight: 600; box-shadow: inset 0 0 0 1.5px var(--bad); } td.er small { color: inherit; font-weight: 500; } td.sg { color: var(--accent-text); } td.no { color: var(--muted); font-size: 12px; }
td:focus-visible, .wrap:focus-visible, button:focus-visible { outline: 2px solid var(--accent-text); outline-offset: -2px; } td.at { outline: 2px solid var(--text); outline-offset: -2px; } p { margin: 12px 8px; color: var(--muted); }
"""
JS = r"""
export default function ({ data, parentElement: root, setTriggerValue }) {
  const box = root.querySelector('.out'), s = box.s || (box.s = { pick: 'all', n: 0, at: null }), told = JSON.stringify(data); if (s.told === told) return; s.told = told;
  const el = (tag, cls, ...kids) => { const e = document.createElement(tag); if (cls) e.className = cls; for (const k of kids) if (k !== null && k !== undefined) e.append(k); return e; };
  const num = n => n.toLocaleString('en');
  const say = (row, name) => setTriggerValue('chosen', { field: name, line: row.line, n: ++s.n + Date.now() });
  function draw() {
    const old = box.querySelector('.wrap'), top = old ? old.scrollTop : 0, left = old ? old.scrollLeft : 0, at = box.getRootNode().activeElement, had = at && at.dataset ? at.dataset.k : null;
    const seg = el('span', 'seg'); seg.setAttribute('role', 'radiogroup'); seg.setAttribute('aria-label', 'Rows');
    const go = by => { const i = data.picks.findIndex(p => p[0] === s.pick), n = data.picks.length; s.pick = data.picks[(i + by + n) % n][0]; s.focus = 'p' + s.pick; draw(); };
    for (const [k, text] of data.picks) { const b = el('button', '', text); b.type = 'button'; b.setAttribute('role', 'radio'); b.setAttribute('aria-checked', String(s.pick === k)); b.tabIndex = s.pick === k ? 0 : -1; b.dataset.k = 'p' + k; b.onclick = () => { s.pick = k; s.focus = 'p' + k; draw(); }; b.onkeydown = e => { if (e.key === 'ArrowRight' || e.key === 'ArrowDown') { e.preventDefault(); go(1); } else if (e.key === 'ArrowLeft' || e.key === 'ArrowUp') { e.preventDefault(); go(-1); } }; seg.append(b); }
    const bar = el('div', 'bar', data.stale ? el('span', 'stale', 'Out of date') : null, el('span', 's m', data.says), el('span', 'sp'), seg);
    const wrap = el('div', 'wrap'), rows = data.rows.filter(r => s.pick === 'all' ? true : r.in.includes(s.pick)); wrap.style.maxHeight = data.height;
    if (!rows.length) { box.replaceChildren(bar, el('p', '', 'No rows here.')); return; }
    const table = el('table'), head = el('tr'), body = el('tbody'); table.append(el('caption', '', 'Output')); table.setAttribute('aria-label', 'Output');
    const h = el('th', 'r', 'Line'); h.scope = 'col'; head.append(h);
    for (const c of data.columns) { const th = el('th', (c.name === data.field ? 'on ' : '') + (c.lacks ? 'w ' : '') + (c.right ? 'r' : ''), c.name, c.score ? el('i', c.low ? 'w' : '', c.score + ' %') : null); th.scope = 'col'; th.title = c.hint; head.append(th); }
    table.append(el('thead', '', head), body);
    const cells = [];
    rows.forEach((row, y) => { const tr = el('tr', row.line === data.line ? 'on' : ''), th = el('th', '', num(row.line), row.note ? el('small', row.bad ? 'bad' : '', row.note) : null); th.scope = 'row'; if (row.hint) th.title = row.hint; tr.append(th); cells.push([]);
      data.columns.forEach((c, x) => { const [text, sub, cls, hint] = row.cells[x], td = el('td', cls + (c.right && cls !== 'no' ? ' r' : '') + (row.line === data.line && c.name === data.field ? ' at' : ''), el('span', 'c', text), sub ? el('small', '', sub) : null); td.tabIndex = -1; td.dataset.k = row.line + ' ' + c.name; if (hint) td.title = hint; td.onclick = () => { s.at = td.dataset.k; say(row, c.name); };
        td.onkeydown = e => { const step = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1], Home: [0, -x], End: [0, 999] }[e.key]; if (step) { e.preventDefault(); const to = cells[Math.max(0, Math.min(cells.length - 1, y + step[0]))], cell = to[Math.max(0, Math.min(to.length - 1, x + step[1]))]; focus(cell); } else if (e.key === 'Enter' || e.key === ' ') { e.preventDefault(); s.at = td.dataset.k; say(row, c.name); } };
        cells[y].push(td); tr.append(td); }); body.append(tr); });
    const focus = td => { const was = box.querySelector('td[tabindex="0"]'); if (was) was.tabIndex = -1; td.tabIndex = 0; td.focus(); s.at = td.dataset.k; };
    const first = cells.flat().find(td => td.dataset.k === s.at) || (cells[0] && cells[0][0]); if (first) first.tabIndex = 0;
    wrap.append(table); box.replaceChildren(bar, wrap); wrap.scrollTop = top; wrap.scrollLeft = left; show();
    const want = s.focus || had; s.focus = null; if (want) { const back = [...box.querySelectorAll('[data-k]')].find(e => e.dataset.k === want); if (back) back.focus({ preventScroll: true }); }
  }
  // The column of the field at hand comes into sight beside the line numbers; after that a person's own scrolling counts.
  function show() {
    if (s.shown === data.field) return; s.shown = data.field;
    const wrap = box.querySelector('.wrap'), th = box.querySelector('thead th.on'), first = box.querySelector('thead th'); if (!th) return;
    const from = th.offsetLeft - first.offsetWidth, to = th.offsetLeft + th.offsetWidth - wrap.clientWidth;
    if (from < wrap.scrollLeft) wrap.scrollLeft = from; else if (to > wrap.scrollLeft) wrap.scrollLeft = Math.min(to, from);
  }
  if (!data.picks.some(p => p[0] === s.pick)) s.pick = 'all';
  draw();
}
"""
_output = st.components.v2.component("spire_output", html=HTML, css=CSS, js=JS)

Chosen = tuple[str, int]
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(:\d\d)?(?:\.\d+)?(?:\+00:00|Z)")
_RUN = re.compile(r"(.)\1+")
# A shape that so small a share of the rows has is worth a look.
RARE = 0.05


def text_of(value: Any) -> str:
    """A value as one line of text."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ", ".join(value)
    return json.dumps(value, ensure_ascii=False)


def caught(preview: Any, target: str) -> dict[str, int]:
    """How many rows of the preview each rule of the mapping onto this target caught."""
    here = (row for row in preview.rows if row.target == target)
    return dict(Counter(check.get("rule", "") for row in here for check in row.failed))


def guessed(client: Client, edited: Draft) -> Any:
    """What the sample would become with the suggestions that wait, kept until something changes."""
    waiting = drafting.waiting(edited, drafting.LIKELY)
    now = edited.now
    if not waiting:
        return None
    mappings = copy.deepcopy(now["mappings"])
    for name in waiting:
        told = now["suggested"][name]
        if not told.get("choices"):
            made = {"field": name, "from": told["best"]["source"], "steps": told.get("steps", [])}
            mappings[now["at"]]["fields"].append(made)
    mark = json.dumps([access.tenant(), now["source"], mappings], sort_keys=True)
    kept = st.session_state.get("guessed")
    if kept is None or kept[0] != mark:
        try:
            found = client.preview(now["source"], mappings)
        except SpireError:
            # What is only suggested may not run; then there is nothing to show of it.
            found = None
        kept = st.session_state["guessed"] = (mark, found)
    return kept[1]


def output(
    preview: Any,
    mapping: dict[str, Any],
    order: list[str],
    *,
    key: str,
    suggested: dict[str, Any] | None = None,
    guesses: Any = None,
    required: Collection[str] = (),
    field: str = "",
    line: int | None = None,
    stale: bool = False,
    height: str = "320px",
) -> Chosen | None:
    """Draw the table; gives the field and line of the cell a person chose just now.

    `suggested` holds what is proposed for each target field and `guesses` the sample with it (see
    `guessed`), `required` names those that must be mapped, `field` and `line` the cell at hand; `stale`
    says that the preview is older than the mapping.
    """
    origins = {f["field"]: f.get("from") for f in mapping["fields"]}
    waiting = _waiting(suggested or {}, origins) if guesses is not None else {}
    names = [name for name in order if name in origins or name in required or name in waiting]
    # What another mapping of the pipeline takes is not this one's to show.
    here = [row for row in preview.rows if row.target in (None, mapping["target"])]
    elsewhere = len(preview.rows) - len(here)
    guess = {row.line: row for row in guesses.rows} if guesses is not None else {}
    rare = _rare(here, names)
    # What nothing is mapped onto yet waits for a person; it makes no row wrong before anything can run.
    open_ = {name for name in required if name not in origins}
    rows = [_row(_without(row, open_), names, origins, waiting, guess.get(row.line), rare) for row in here]
    counts = Counter(pick for row in rows for pick in row["in"])
    says = preview.extent + (f"; {words.count(elsewhere, 'row')} go to other mappings" if elsewhere else "")
    if any(name in waiting for name in names):
        says += "; blue values come from suggestions"
    labels = {"changed": "Changed", "failing": "Fail", "rare": "Rare shapes", "left": "Left out"}
    data = {
        "says": says,
        "stale": stale,
        "height": height,
        "field": field,
        "line": line,
        "columns": [_column(name, origins, waiting, here) for name in names],
        "rows": rows,
        "picks": [
            ["all", f"All {len(rows):,}"],
            *([pick, f"{label} {counts[pick]:,}"] for pick, label in labels.items()),
        ],
    }
    found = _output(key=key, data=data, on_chosen_change=_nothing).chosen
    return (str(found["field"]), int(found["line"])) if found else None


def _waiting(suggested: dict[str, Any], origins: dict[str, Any]) -> dict[str, tuple[int, str]]:
    """Score and source of each suggestion that nobody has taken, nor anything else for its field."""
    return {
        name: (int(told["best"]["score"]), str(told["best"]["source"]))
        for name, told in suggested.items()
        if name not in origins
        and told.get("best")
        and not told.get("choices")
        and told["best"]["score"] >= drafting.LIKELY
    }


def _nothing() -> None:
    """A trigger needs somebody who listens; the page reads it from the answer."""


def _column(
    name: str, origins: dict[str, Any], waiting: dict[str, tuple[int, str]], rows: list[Any]
) -> dict[str, Any]:
    score, source = waiting.get(name, (0, ""))
    values = [row.values.get(name) for row in rows if row.values.get(name) is not None]
    right = bool(values) and all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    origin = origins.get(name)
    hint = f"from {origin}" if origin else f"suggested: {source}" if score else ""
    lacks = name not in origins and not score
    return {
        "name": name, "right": right, "hint": "nothing is mapped onto it" if lacks else hint, "lacks": lacks,
        "score": score, "low": 0 < score < drafting.SURE,
    }  # fmt: skip


def _without(row: Any, open_: Collection[str]) -> Any:
    """A row as it is but for the checks on fields that nothing is mapped onto."""
    if not open_ or row.outcome not in ("rejected", "warned"):
        return row
    failed = [check for check in row.failed if check.get("field") not in open_]
    outcome = row.outcome if failed else "good"
    return row.model_copy(update={"failed": failed, "outcome": outcome})


def _row(
    row: Any,
    names: list[str],
    origins: dict[str, Any],
    waiting: dict[str, tuple[int, str]],
    guess: Any,
    rare: set[tuple[int, str]],
) -> dict[str, Any]:
    reasons: dict[str, str] = {}
    other = ""
    for check in row.failed:
        name = check.get("field")
        said = str(check.get("message") or check.get("rule") or "")
        if name in names:
            reasons.setdefault(name, said)
        else:
            other = other or (f"{name}: {said}" if name and name not in said else said)
    note = {"rejected": "to quarantine", "filtered": "left out", "warned": "noted"}.get(row.outcome, "")
    cells = [
        _guess(row, guess, name, waiting[name][1])
        if name in waiting
        else _cell(row, name, origins.get(name), reasons.get(name))
        for name in names
    ]
    picks = [
        *(["changed"] if any(cell[2] == "ch" for cell in cells) else []),
        *(["failing"] if row.outcome == "rejected" else []),
        *(["left"] if row.outcome == "filtered" else []),
        *(["rare"] if any((row.line, name) in rare for name in names) else []),
    ]
    return {
        "line": row.line,
        "note": note,
        "bad": row.outcome == "rejected",
        "hint": other,
        "cells": cells,
        "in": picks,
    }


def _cell(row: Any, name: str, origin: Any, reason: str | None) -> list[str]:
    """A cell: what it says, the original beneath where it differs, how it is drawn, and all of it on hover."""
    before = text_of(row.source.get(origin)) if origin else ""
    after = _short(text_of(row.values.get(name)))
    if row.outcome == "filtered":
        return [before or "no value", "", "no", before]
    if reason:
        # What came is named as what is wrong, unless it is that nothing came of it.
        lost = reason.endswith("is missing")
        said = "no value" if lost else before or after or "no value"
        hint = f"{before}: {reason}" if before and lost else reason
        return [said, reason.removeprefix(f"{name} "), "er", hint]
    if not after:
        return ["no value", before, "no", before]
    if origin and after != before:
        return [after, before or "empty", "ch", f"{before} → {after}" if before else after]
    return [after, "", "", after]


def _short(text: str) -> str:
    """A moment without what is nothing: no time at midnight, no seconds at the full minute. All are UTC."""
    moment = _MOMENT.fullmatch(text)
    if moment is None:
        return text
    day, time, seconds = moment.groups()
    seconds = "" if seconds in (None, ":00") else seconds
    return day if time == "00:00" and not seconds else f"{day} {time}{seconds}"


def _guess(row: Any, guess: Any, name: str, source: str) -> list[str]:
    """A cell of a suggestion: the value it would have."""
    before = text_of(row.source.get(source))
    after = _short(text_of(guess.values.get(name))) if guess is not None else ""
    if not after:
        return ["no value", before, "no", before]
    return [after, before if before != after else "", "sg", f"suggested from {source}: {before} → {after}"]


def _rare(rows: list[Any], names: list[str]) -> set[tuple[int, str]]:
    """The cells whose value looks as few others of its column do."""
    found: set[tuple[int, str]] = set()
    for name in names:
        shapes = {row.line: _shape(text_of(row.values.get(name))) for row in rows if row.values.get(name)}
        counts = Counter(shapes.values())
        # Where every value looks its own way, none is rare.
        if len(counts) <= max(3, len(shapes) // 4):
            few = max(1, int(RARE * len(shapes)))
            found |= {
                (line, name)
                for line, shape in shapes.items()
                if counts[shape] <= few < counts.most_common(1)[0][1]
            }
    return found


def _shape(text: str) -> str:
    """What a value looks like: letters, digits and marks, each run once."""
    marks = "".join("9" if c.isdigit() else "a" if c.isalpha() else c for c in text[:80])
    return _RUN.sub(r"\1", marks)
