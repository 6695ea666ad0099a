"""What the columns of a source hold: all of them in a list, one of them in full; each figure leads to its rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from app.widgets import words

HTML = """
<div class="two"><section class="left"><div class="bar"><input type="search" placeholder="Find a field" aria-label="Find a field"><span class="found"></span></div>
<div class="heads" aria-hidden="true"><span>Field</span><span>Holds</span><span>Spread</span><span class="r">Empty</span><span class="r">Distinct</span><span>Commonest</span></div>
<div class="list" role="listbox" tabindex="0" aria-label="Fields"><div class="pad"></div></div></section>
<section class="right" aria-label="The chosen field"><h3></h3><p class="ev"></p><div class="parts"></div></section></div>
"""
CSS = """
.two { display: grid; grid-template-columns: minmax(0, 1fr) 320px; font: 400 13px/20px var(--st-font); color: var(--text); font-feature-settings: "tnum", "cv05"; }
.left { min-width: 0; } .right { border-left: 1px solid var(--border); padding: 8px 12px 12px; max-height: var(--tall, 420px); overflow: auto; box-sizing: border-box; }
.bar { display: flex; gap: 12px; align-items: center; padding: 8px 12px; } .bar[hidden] { display: none; } input { font: 13px/20px var(--st-font); width: 220px; height: 30px; padding: 0 8px; border: 1px solid var(--border-2); border-radius: 6px; background: var(--bg); color: var(--text); box-sizing: border-box; } .found { color: var(--muted); font-size: 12px; }
input:focus-visible, button:focus-visible { outline: 2px solid var(--accent-text); outline-offset: 1px; } .list:focus-visible { outline: 2px solid var(--accent-text); outline-offset: -2px; }
.heads, .row { display: grid; grid-template-columns: minmax(100px, 1fr) 182px 60px 56px 60px minmax(60px, 1fr); gap: 0 12px; align-items: center; padding: 0 12px; }
.heads { height: 28px; font: 500 12px/28px var(--st-font); color: var(--muted); background: var(--bg-2); border-top: 1px solid var(--border); border-bottom: 1px solid var(--border); }
.list { position: relative; overflow: auto; max-height: 342px; } .pad { position: relative; }
.row { position: absolute; left: 0; right: 0; height: 38px; border-bottom: 1px solid var(--border); cursor: pointer; box-sizing: border-box; } .row:hover, .row[aria-selected="true"] { background: var(--bg-2); } .row[aria-selected="true"] { box-shadow: inset 3px 0 0 var(--text); }
.row > * { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; } .name { font-weight: 600; unicode-bidi: isolate; text-align: left; } .m { color: var(--muted); } .r { text-align: right; } .left-on { text-align: left; }
.chip { justify-self: start; max-width: 100%; box-sizing: border-box; height: 20px; line-height: 20px; padding: 0 6px; border-radius: 4px; font-size: 12px; font-weight: 500; background: var(--bg-3); } .chip.wait { background: var(--wait-soft); color: var(--wait-text); }
.spark { display: flex; align-items: flex-end; gap: 1px; height: 18px; } .spark i { flex: 1; min-height: 1px; background: var(--border-2); }
h3 { margin: 0; font: 600 14px/20px var(--st-font); overflow-wrap: anywhere; unicode-bidi: isolate; } .ev { margin: 0 0 4px; font-size: 12px; color: var(--muted); }
h4 { margin: 10px 0 2px; font: 500 12px/18px var(--st-font); color: var(--muted); }
.big { height: 44px; margin-top: 4px; } .ends { display: flex; justify-content: space-between; font-size: 12px; color: var(--muted); }
.pick { position: relative; display: flex; gap: 8px; width: 100%; font: 400 13px/24px var(--st-font); color: var(--text); text-align: left; background: none; border: 0; border-radius: 4px; padding: 0 6px; cursor: pointer; } .pick:hover { background: var(--bg-2); } .pick[disabled] { cursor: default; background: none; }
.pick .v { flex: 1; min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; unicode-bidi: isolate; } .pick .mono { font: 12px/24px var(--mono); font-feature-settings: normal; white-space: pre; } .pick .c { color: var(--muted); } .pick .wash { position: absolute; left: 0; top: 3px; bottom: 3px; border-radius: 3px; background: var(--bg-3); z-index: -1; } .parts { position: relative; z-index: 0; }
.warn { margin: 8px 0 0; padding: 6px 8px; border-left: 3px solid var(--wait); border-radius: 4px; background: var(--wait-soft); font-size: 12px; line-height: 18px; } .warn button { font: inherit; font-weight: 500; color: var(--accent-text); background: none; border: 0; padding: 0; cursor: pointer; } .warn button:hover { text-decoration: underline; }
"""
JS = """
export default function ({ data, parentElement: root, setTriggerValue }) {
  const list = root.querySelector('.list'), pad = root.querySelector('.pad'), find = root.querySelector('input'), told = root.querySelector('.found'), bar = root.querySelector('.bar'), right = root.querySelector('.right');
  const HIGH = 38, el = (tag, cls, text) => { const e = document.createElement(tag); if (cls) e.className = cls; if (text !== undefined) e.textContent = text; return e; };
  const it = list.kept ||= { chosen: data.selected, sign: '', rows: new Map() };
  it.data = data; it.tell = setTriggerValue;
  if (!data.columns.some(c => c.name === it.chosen)) it.chosen = data.columns[0]?.name;
  bar.hidden = data.columns.length < 12;
  // Beside few fields the chosen one scrolls, so that no empty room is left below them.
  right.style.setProperty('--tall', Math.max(300, Math.min(420, 30 + HIGH * data.columns.length)) + 'px');
  const spark = (bins, cls) => { const g = el('span', 'spark ' + (cls || '')), m = Math.max(...bins, 1); for (const n of bins) { const p = el('i'); p.style.height = Math.max(4, Math.round(100 * n / m)) + '%'; g.append(p); } return g; };
  const shown = () => { const q = find.value.trim().toLowerCase(); return q ? it.data.columns.filter(c => (c.name + ' ' + c.evidence).toLowerCase().includes(q)) : it.data.columns; };
  /* Only the rows in sight are there: three hundred fields cost no more than ten. */
  function slice() {
    const all = shown(), first = Math.max(0, Math.floor(list.scrollTop / HIGH) - 4), last = Math.min(all.length, first + Math.ceil((list.clientHeight || 342) / HIGH) + 8);
    pad.style.height = all.length * HIGH + 'px'; told.textContent = find.value ? all.length + ' of ' + it.data.columns.length : it.data.columns.length + ' fields';
    const keep = new Set();
    for (let i = first; i < last; i++) {
      const c = all[i]; keep.add(c.name);
      let row = it.rows.get(c.name);
      if (!row) {
        row = el('div', 'row'); row.setAttribute('role', 'option'); row.id = 'f' + c.at;
        row.append(Object.assign(el('span', 'name', c.name), { title: c.name, dir: 'auto' }), el('span', 'chip ' + c.tone, c.evidence), spark(c.spark), el('span', 'r m', c.emptyShare), el('span', 'r', c.distinct), Object.assign(el('span', 'm left-on', c.common), { dir: 'auto' }));
        row.onclick = () => { choose(c.name); list.focus({ preventScroll: true }); };
        it.rows.set(c.name, row); pad.append(row);
      }
      row.style.top = i * HIGH + 'px'; row.setAttribute('aria-posinset', i + 1); row.setAttribute('aria-setsize', all.length);
      row.setAttribute('aria-selected', String(c.name === it.chosen));
    }
    for (const [name, row] of it.rows) if (!keep.has(name)) { row.remove(); it.rows.delete(name); }
    list.setAttribute('aria-activedescendant', it.rows.get(it.chosen)?.id || '');
  }
  function choose(name) {
    it.chosen = name;
    const all = shown(), at = all.findIndex(c => c.name === name), top = at * HIGH;
    if (at >= 0 && (top < list.scrollTop || top + HIGH > list.scrollTop + list.clientHeight)) list.scrollTop = top < list.scrollTop ? top : top + HIGH - list.clientHeight;
    slice(); detail();
  }
  const filter = (by, value) => it.tell('picked', { field: it.chosen, by, value: value || '' });
  function pick(into, text, count, of, by, value, mono) {
    const b = el('button', 'pick'), wash = el('span', 'wash'); b.type = 'button'; b.title = text; wash.style.width = of ? 100 * count / of + '%' : '0';
    b.setAttribute('aria-label', 'Show the rows: ' + text);
    b.append(wash, Object.assign(el('span', 'v' + (mono ? ' mono' : ''), text), { dir: 'auto' }), el('span', 'c', count === null ? '' : count.toLocaleString('en')));
    b.onclick = () => filter(by, value); into.append(b);
  }
  function detail() {
    const c = it.data.columns.find(c => c.name === it.chosen), parts = right.querySelector('.parts');
    const sign = JSON.stringify(c || null);
    if (sign === it.detail) return;
    it.detail = sign; parts.replaceChildren();
    right.querySelector('h3').textContent = c ? c.name : ''; right.querySelector('.ev').textContent = c ? c.evidence + ', ' + c.distinct + ' distinct' + (c.longest > 80 ? ', up to ' + c.longest.toLocaleString('en') + ' characters' : '') : '';
    if (!c) return;
    for (const w of c.warnings) { const p = el('p', 'warn', w.text + ' '); if (w.by) { const b = el('button', '', 'Show them'); b.type = 'button'; b.onclick = () => filter(w.by); p.append(b); } parts.append(p); }
    if (c.ends) { parts.append(spark(c.spark, 'big')); const e = el('div', 'ends'); e.append(el('span', '', c.ends[0]), el('span', '', c.ends[1])); parts.append(e); }
    if (c.empty) { parts.append(el('h4', '', 'Without a value')); pick(parts, 'empty, null or a placeholder', c.empty, c.rows, 'empty'); }
    if (c.outliers) { parts.append(el('h4', '', c.outliers.toLocaleString('en') + (c.outliers === 1 ? ' outlier' : ' outliers') + ', not ' + c.type)); for (const [v, n] of c.examples) pick(parts, v, n, c.rows, 'value', v, true); pick(parts, 'All outliers', c.outliers, c.rows, 'outliers'); }
    if (c.top.length) { parts.append(el('h4', '', 'Commonest values')); for (const [v, n] of c.top) pick(parts, v, n, c.rows, 'value', v, true); }
    if (c.masks.length) { parts.append(el('h4', '', 'Patterns')); for (const [v, n] of c.masks) pick(parts, v, n, c.masksOf, 'mask', v, true); }
  }
  const sign = JSON.stringify(data.columns);
  if (sign !== it.sign) { it.sign = sign; it.rows.forEach(row => row.remove()); it.rows.clear(); }
  list.onscroll = slice; find.oninput = () => { list.scrollTop = 0; slice(); };
  find.onkeydown = e => { if (e.key === 'ArrowDown') { e.preventDefault(); const all = shown(); if (all.length) choose(all[0].name); list.focus(); } };
  list.onkeydown = e => {
    const all = shown(), at = all.findIndex(c => c.name === it.chosen), to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1, PageDown: at + 8, PageUp: at - 8 }[e.key];
    if (to === undefined || !all.length) return;
    e.preventDefault(); choose(all[Math.max(0, Math.min(all.length - 1, to))].name);
  };
  slice(); detail(); requestAnimationFrame(slice);
}
"""
_fields = st.components.v2.component("spire_fields", html=HTML, css=CSS, js=JS)

SHOWN_VALUES, SHOWN_MASKS, SHOWN_OUTLIERS = 8, 6, 5


def fields(columns: Sequence[Any], selected: str, *, key: str) -> dict[str, str] | None:
    """Draw the fields; gives the figure that was just chosen (field, by, value) so that its rows are shown."""
    data = {
        "columns": [_column(column, at) for at, column in enumerate(columns)],
        "selected": selected,
    }
    picked = _fields(key=key, data=data, on_picked_change=_nothing).picked
    return {name: str(picked[name]) for name in ("field", "by", "value")} if picked else None


def _column(column: Any, at: int) -> dict[str, Any]:
    empty = column.rows - column.filled
    numbers = column.numbers
    binned = list(numbers.bins) if numbers and numbers.bins else []
    counts, odd = (
        {value.value: value.count for value in column.top},
        [o.value for o in column.outlier_examples],
    )
    once = 1 if min(counts.values(), default=1) == 1 else None
    return {
        "at": at,
        "name": column.name,
        "type": column.type,
        "evidence": column.evidence,
        "tone": "wait" if column.outliers or column.mangled else "",
        "spark": binned or [value.count for value in column.top[:12]],
        "ends": [f"{numbers.lowest:,.10g}", f"{numbers.highest:,.10g}"] if binned else None,
        "rows": column.rows,
        "empty": empty,
        "emptyShare": words.percent(empty, column.rows),
        "distinct": f"{column.distinct:,}",
        "longest": column.longest,
        "common": ", ".join(value.value[:60] for value in column.top[:3]),
        "top": [[value.value, value.count] for value in column.top[:SHOWN_VALUES]],
        "masks": [[mask.mask, mask.count] for mask in column.masks[:SHOWN_MASKS]],
        "masksOf": column.masks_of,
        "outliers": column.outliers,
        # Only the commonest values are counted one by one; where the least of them came once, so did all others.
        "examples": [[value, counts.get(value, once)] for value in dict.fromkeys(odd)][:SHOWN_OUTLIERS],
        "warnings": _warnings(column),
    }


def _warnings(column: Any) -> list[dict[str, str]]:
    found = []
    if column.mangled:
        told = f"{words.count(column.mangled, 'value')} a spreadsheet has mangled, such as 1.9E+18. The digits are lost; nothing is repaired."
        found.append({"text": told, "by": "mangled"})
    if column.ambiguous_dates:
        found.append(
            {"text": "These dates read two ways, day or month first. The mapping asks which.", "by": ""}
        )
    if column.leading_zeros:
        told = f"{words.count(column.leading_zeros, 'value')} with leading zeros. They stay text."
        found.append({"text": told, "by": "zeros"})
    return found


def _nothing() -> None:
    """A trigger needs somebody who listens; the page reads it from the answer."""
