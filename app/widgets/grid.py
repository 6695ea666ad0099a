"""A grid of rows as they stand in a source: only the columns in sight are drawn, so three hundred cost no more than ten."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

HTML = """<div class="wrap" tabindex="0"><table></table><p class="none"></p></div>"""
CSS = """
.wrap { font: 400 13px/20px var(--st-font); color: var(--text); font-feature-settings: "tnum", "cv05"; overflow: auto; outline-offset: -2px; } .wrap:focus-visible { outline: 2px solid var(--accent-text); }
table { border-collapse: separate; border-spacing: 0; table-layout: fixed; } caption { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
th, td { box-sizing: border-box; padding: 0 12px; height: 32px; border-bottom: 1px solid var(--border); overflow: hidden; text-overflow: ellipsis; white-space: nowrap; text-align: left; }
thead th { position: sticky; top: 0; z-index: 1; height: 28px; background: var(--bg-2); font-weight: 500; font-size: 12px; color: var(--muted); unicode-bidi: isolate; }
th.line, td.line { position: sticky; left: 0; width: 76px; text-align: right; color: var(--muted); background: var(--bg); } thead th.line { z-index: 2; background: var(--bg-2); }
td { unicode-bidi: isolate; } td.nothing { color: var(--muted); font-style: italic; } td.picked { background: var(--accent-soft); } .gap { padding: 0; border-bottom: 0; }
.none { color: var(--muted); padding: 12px; margin: 0; } .none[hidden] { display: none; }
"""
JS = """
export default function ({ data, parentElement: root }) {
  const WIDE = 176, LINE = 76, wrap = root.querySelector('.wrap'), table = root.querySelector('table'), none = root.querySelector('.none');
  const el = (tag, cls, text) => { const e = document.createElement(tag); if (cls) e.className = cls; if (text !== undefined) e.textContent = text; return e; };
  wrap.style.maxHeight = data.height + 'px'; wrap.setAttribute('role', 'region'); wrap.setAttribute('aria-label', data.name);
  none.textContent = data.none; none.hidden = data.rows.length > 0;
  const it = wrap.kept ||= { sign: '', seen: '' }, sign = JSON.stringify(data), fresh = sign !== it.sign;
  it.sign = sign;
  const few = data.fields.length * WIDE + LINE, count = data.fields.length;
  function draw(again) {
    const room = wrap.clientWidth || 900, wide = few < room ? Math.floor((room - LINE) / Math.max(count, 1)) : WIDE;
    const first = Math.max(0, Math.floor(wrap.scrollLeft / wide) - 3), last = Math.min(count, Math.ceil((wrap.scrollLeft + room) / wide) + 3);
    const seen = first + '-' + last + '-' + wide;
    if (!again && seen === it.seen) return;
    it.seen = seen;
    const before = first * wide, after = (count - last) * wide;
    table.style.width = LINE + count * wide + 'px'; table.setAttribute('aria-colcount', count + 1);
    const gap = width => { const t = el('td', 'gap'); t.style.width = width + 'px'; t.setAttribute('aria-hidden', 'true'); return t; };
    const top = el('tr'), line = el('th', 'line', data.line); line.scope = 'col'; top.append(line);
    if (before) top.append(gap(before));
    for (let i = first; i < last; i++) { const th = el('th', '', data.fields[i]); th.scope = 'col'; th.dir = 'auto'; th.title = data.fields[i]; th.style.width = wide + 'px'; th.setAttribute('aria-colindex', i + 2); top.append(th); }
    if (after) top.append(gap(after));
    const head = el('thead'), body = el('tbody'); head.append(top);
    for (const row of data.rows) {
      const tr = el('tr'); tr.append(el('td', 'line', row.line.toLocaleString('en')));
      if (before) tr.append(gap(before));
      for (let i = first; i < last; i++) {
        const v = row.values[i], td = el('td', v === null || v === '' ? 'nothing' : '', v === null ? 'null' : v === '' ? 'empty' : v);
        td.dir = 'auto'; if (v && v.length > 18) td.title = v; if (data.picked.includes(data.fields[i])) td.classList.add('picked'); td.setAttribute('aria-colindex', i + 2); tr.append(td);
      }
      if (after) tr.append(gap(after));
      body.append(tr);
    }
    table.replaceChildren(el('caption', '', data.name), ...(data.rows.length ? [head, body] : []));
  }
  if (fresh) draw(true);
  wrap.onscroll = () => draw(false);
  const watch = new ResizeObserver(() => draw(false)); watch.observe(wrap);
  return () => watch.disconnect();
}
"""
_grid = st.components.v2.component("spire_grid", html=HTML, css=CSS, js=JS)
# A value may be millions of characters long; nobody reads more than this in a cell.
LONGEST = 400


def grid(
    name: str,
    fields: Sequence[str],
    rows: Sequence[Any],
    *,
    key: str,
    picked: Sequence[str] = (),
    none: str = "No rows.",
) -> None:
    """Draw rows (with `line` and `values` by field) under their fields; `picked` columns are tinted."""
    data = {
        "name": name, "fields": list(fields), "line": "Line", "height": 360, "none": none, "picked": list(picked),
        "rows": [{"line": row.line, "values": [_cut(row.values.get(field)) for field in fields]} for row in rows],
    }  # fmt: skip
    _grid(key=key, data=data)


def _cut(value: str | None) -> str | None:
    if value is None or len(value) <= LONGEST:
        return value
    return f"{value[:LONGEST]} … ({len(value):,} characters)"
