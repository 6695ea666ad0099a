"""A time line: records by day, week, month or year; a click, a drag or the keyboard chooses a span."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import streamlit as st

HTML = """<div class="tl"><div class="bars" role="group"></div><div class="axis" aria-hidden="true"></div><div class="told" role="status" aria-live="polite"></div></div>"""
CSS = """
.tl { font: 400 12px/16px var(--st-font); color: var(--muted); font-feature-settings: "tnum"; padding: 0 12px 8px; user-select: none; }
.bars { display: flex; align-items: flex-end; height: 64px; gap: 1px; border-bottom: 1px solid var(--border-2); touch-action: none; }
.bars button { flex: 1 1 0; min-width: 0; height: 100%; padding: 0; border: 0; background: none; display: flex; align-items: flex-end; cursor: pointer; border-radius: 2px 2px 0 0; }
.bars i { display: block; width: 100%; min-height: 0; background: var(--l-updated); border-radius: 1px 1px 0 0; } .bars button:hover { background: var(--bg-3); } .bars button.in { background: var(--bg-3); } .bars button.in i { background: var(--l-inserted); }
.bars button:focus-visible { outline: 2px solid var(--accent-text); outline-offset: 0; z-index: 1; }
.axis { position: relative; height: 18px; margin-top: 2px; } .axis span { position: absolute; top: 0; white-space: nowrap; } .told { min-height: 16px; color: var(--muted); overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
"""
JS = """
export default function ({ data, parentElement: root, setTriggerValue }) {
  const el = (tag, cls, text) => { const e = document.createElement(tag); if (cls) e.className = cls; if (text !== undefined) e.textContent = text; return e; };
  const bars = root.querySelector('.bars'), axis = root.querySelector('.axis'), told = root.querySelector('.told'), said = JSON.stringify(data);
  if (bars.said === said) return;
  const had = bars.contains(bars.getRootNode().activeElement);
  bars.said = said; bars.replaceChildren(); axis.replaceChildren(); told.textContent = data.hint;
  bars.setAttribute('aria-label', data.name);
  const most = Math.max(1, ...data.bars.map(b => b.count)), all = [], last = data.bars.length - 1;
  let from = null, to = null, down = false;
  const words = (a, b) => { const count = data.bars.slice(a, b + 1).reduce((s, x) => s + x.count, 0); return data.bars[a].label + (b > a ? ' to ' + data.bars[b].label : '') + ': ' + count.toLocaleString('en') + (count === 1 ? ' record' : ' records'); };
  const mark = () => { const [a, b] = from === null ? [1, 0] : [Math.min(from, to), Math.max(from, to)]; all.forEach((e, i) => e.classList.toggle('in', i >= a && i <= b)); if (from !== null) told.textContent = words(a, b); };
  const pick = () => { const a = Math.min(from, to), b = Math.max(from, to); setTriggerValue('picked', { field: data.field, from: data.bars[a].start, to: b < last ? data.bars[b + 1].start : data.end }); };
  data.bars.forEach((bar, i) => {
    const b = el('button'); b.type = 'button'; b.tabIndex = i ? -1 : 0; b.setAttribute('aria-label', bar.label + ', ' + bar.count.toLocaleString('en') + (bar.count === 1 ? ' record' : ' records'));
    const fill = el('i'); fill.style.height = bar.count ? Math.max(2, 100 * bar.count / most) + (bar.count / most > .03 ? '%' : 'px') : '0'; b.append(fill);
    b.onpointerdown = e => { if (e.button) return; e.preventDefault(); b.focus({ preventScroll: true }); down = true; from = to = i; mark(); };
    b.onpointerenter = () => { if (down) { to = i; mark(); } else if (from === null) told.textContent = words(i, i); };
    b.onfocus = () => { all.forEach(e => { e.tabIndex = -1; }); b.tabIndex = 0; if (!down && from === null) told.textContent = words(i, i); };
    b.onkeydown = e => {
      const step = { ArrowRight: 1, ArrowLeft: -1, Home: -i, End: last - i }[e.key];
      if (step !== undefined) { e.preventDefault(); const next = Math.min(last, Math.max(0, i + step)); if (e.shiftKey) { if (from === null) from = i; to = next; } else from = to = null; all[next].focus(); mark(); if (from === null) told.textContent = words(next, next); }
      else if (e.key === 'Enter' || e.key === ' ') { e.preventDefault(); if (from === null) from = to = i; mark(); pick(); }
      else if (e.key === 'Escape') { from = to = null; mark(); told.textContent = data.hint; }
    };
    bars.append(b); all.push(b);
  });
  const up = () => { if (!down) return; down = false; if (from !== null) pick(); };
  bars.onpointerleave = () => { if (!down && from === null) told.textContent = data.hint; };
  window.removeEventListener('pointerup', bars.up); bars.up = up; window.addEventListener('pointerup', up);
  const marks = data.bars.map((b, i) => [b.tick, i]).filter(([t]) => t), every = Math.ceil(marks.length / 9);
  let free = -1;
  marks.forEach(([text, i], n) => { const x = i / data.bars.length * (axis.clientWidth || 700); if (n % every || x < free) return; free = x + 7 * text.length + 8; const s = el('span', '', text); s.style.left = 100 * i / data.bars.length + '%'; if (i / data.bars.length > .93) { s.style.left = ''; s.style.right = '0'; } axis.append(s); });
  if (had) all[0]?.focus();
}
"""
FEW = 8
_line = st.components.v2.component("spire_timeline", html=HTML, css=CSS, js=JS)


def timeline(line: Any, *, key: str) -> None:
    """Draw it; choosing a span triggers `picked` with field, from (included) and to (not), as ISO times."""
    bars = [
        {
            "start": bar.start.replace(tzinfo=None).isoformat(),
            "count": bar.count,
            "label": _label(bar.start, line.unit),
            "tick": _tick(bar.start, line.unit, 0 if len(line.bars) <= FEW else place),
        }
        for place, bar in enumerate(line.bars)
    ]
    data = {
        "field": line.field,
        "name": f"Records by {line.unit} of {line.title}",
        "bars": bars,
        "end": line.end.replace(tzinfo=None).isoformat(),
        "hint": f"By {line.unit}. Click or drag to keep a span.",
    }
    _line(key=key, data=data, on_picked_change=_nothing)


def _label(at: datetime, unit: str) -> str:
    if unit == "year":
        return f"{at.year}"
    if unit == "month":
        return f"{at:%b} {at.year}"
    return f"{'week of ' if unit == 'week' else ''}{at.day} {at:%b} {at.year}"


def _tick(at: datetime, unit: str, place: int) -> str:
    """What stands under a bar: where a year, a month or ten days begin."""
    if unit == "year":
        return str(at.year) if place == 0 or at.year % 5 == 0 else ""
    if unit == "month":
        return str(at.year) if at.month == 1 else (f"{at:%b} {at.year}" if place == 0 else "")
    if unit == "week":
        return f"{at:%b} {at.year}" if place == 0 or at.day <= 7 else ""
    return f"{at.day} {at:%b}" if place == 0 or at.day in (1, 11, 21) else ""


def _nothing() -> None:
    """A trigger needs somebody who listens; the page reads it when it begins."""
