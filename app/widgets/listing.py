"""A plain list: a real table with hairlines, links and figures, that tells which row or action was chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import streamlit as st

HTML = """<div class="wrap"><table></table><p class="none"></p></div>"""
CSS = """
.wrap { position: relative; font: 400 13px/1.45 var(--st-font); color: var(--text); font-feature-settings: "tnum", "cv05", "calt" 0; overflow: auto; }
table { border-collapse: collapse; width: 100%; }
caption { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
thead :is(th, td) { position: sticky; top: 0; background: var(--bg-2); font-weight: 500; font-size: 12px; color: var(--muted); text-align: left; height: 28px; padding: 0 12px; border-bottom: 1px solid var(--border); white-space: nowrap; z-index: 1; }
td { height: 36px; padding: 4px 12px; border-bottom: 1px solid var(--border); vertical-align: middle; max-width: var(--cell, 320px); box-sizing: border-box; }
td.fill { width: 100%; max-width: 0; } td.fill ~ td button.act { white-space: nowrap; } td.dot { padding-right: 0; width: 12px; }
tbody tr:last-child td { border-bottom: 0; } .r { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
tr.go { cursor: pointer; } tr.go:hover td { background: var(--bg-2); } tr.on td { background: var(--bg-2); } tr.on td:first-child { box-shadow: inset 3px 0 0 var(--text); }
a, button.act { color: var(--accent-text); font: 500 13px/20px var(--st-font); text-decoration: none; background: none; border: 0; padding: 0; cursor: pointer; }
button.act { text-align: inherit; text-wrap: balance; }
a, button { font-feature-settings: inherit; } a.name { color: var(--text); font-weight: 600; white-space: nowrap; } a.name.wrap { white-space: normal; } a.name.muted { font-weight: 400; color: var(--muted); } a:hover, button.act:hover { text-decoration: underline; }
button.sort { font: inherit; color: inherit; background: none; border: 0; padding: 0; cursor: pointer; } button.sort:hover { color: var(--text); text-decoration: underline; } .dir { display: inline-block; min-width: 14px; margin-left: 2px; color: var(--text); }
.kind { display: block; font: 400 11px/14px var(--mono); color: var(--muted); }
a:focus-visible, button:focus-visible { outline: 2px solid var(--accent-text); outline-offset: 2px; border-radius: 2px; }
.wrap:focus-visible { outline: 2px solid var(--accent-text); outline-offset: -2px; }
.sub { display: block; color: var(--muted); font-size: 12px; line-height: 16px; } .b { font-weight: 600; }
td span, td a { unicode-bidi: plaintext; text-align: inherit; }
.cut { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; display: block; max-width: 100%; }
.muted { color: var(--muted); } .bad { color: var(--bad-text); } .wait { color: var(--wait-text); } .ok { color: var(--ok-text); } .mono { font-family: var(--mono); font-size: 12px; white-space: pre; font-feature-settings: normal; }
td.breaks span, td.changed span { overflow-wrap: anywhere; }
td.changed { background: var(--changed); color: var(--changed-text); } td.changed .sub { color: inherit; opacity: .8; }
td.failed { background: var(--bad-soft); color: var(--bad-text); box-shadow: inset 0 0 0 1px var(--bad); } td.failed .sub { color: inherit; }
.chip { display: inline-flex; align-items: center; height: 20px; padding: 0 6px; border-radius: 4px; font-size: 12px; font-weight: 500; background: var(--bg-3); white-space: nowrap; }
.chip.ok { background: var(--ok-soft); } .chip.wait { background: var(--wait-soft); } .chip.bad { background: var(--bad-soft); } .chip.acc { background: var(--accent-soft); color: var(--accent-text); }
.bar { display: block; width: 48px; height: 8px; } .bar i { display: block; height: 8px; min-width: 2px; border-radius: 1px; background: var(--l-rejected); } .bar.grey i { background: var(--muted); }
.gantt { position: relative; display: block; height: 8px; min-width: 40px; background: var(--bg-3); border-radius: 2px; } .gantt i { position: absolute; top: 0; bottom: 0; min-width: 2px; background: var(--muted); border-radius: 2px; }
.lg { display: flex; gap: 1px; width: 66px; height: 9px; } .lg i { display: block; height: 100%; min-width: 2px; border-radius: 1px; }
.spark { display: flex; align-items: flex-end; gap: 1px; height: 16px; width: 60px; } .spark i { flex: 1; min-height: 1px; background: var(--border-2); }
.strip { display: flex; gap: 2px; align-items: flex-end; height: 20px; } .strip > * { width: 4px; height: 18px; border-radius: 1px; background: var(--border-2); } .strip > a:hover { outline: 1px solid var(--text); outline-offset: 1px; }
.strip .ok { background: var(--l-inserted); height: 18px; } .strip .wait { background: var(--wait); } .strip .bad { background: var(--bad); } .strip .none { background: none; border: 1px solid var(--border-2); height: 8px; } .strip .now { background: var(--muted); height: 10px; } .strip .gap { background: var(--border); height: 4px; }
.c0 { background: var(--l-inserted); } .c1 { background: var(--l-updated); } .c2 { background: var(--l-unchanged); } .c3 { background: var(--l-duplicate); } .c4 { background: var(--l-rejected); } .c5 { background: repeating-linear-gradient(135deg, var(--l-filtered) 0 2px, transparent 2px 4px); }
.none { margin: 0; padding: 12px; color: var(--muted); }
"""
JS = """
export default function ({ data, parentElement: root, setTriggerValue }) {
  const el = (tag, cls, text) => { const e = document.createElement(tag); if (cls) e.className = cls; if (text !== undefined) e.textContent = text; return e; };
  const wrap = root.querySelector('.wrap'), table = root.querySelector('table'), none = root.querySelector('.none');
  // What stands in the page stays there: a rerun touches only what is new, so focus, scroll and a text being marked are kept.
  const kept = wrap.kept ??= start();
  kept.tell = setTriggerValue;
  const all = JSON.stringify(data);
  if (kept.all === all) return;
  kept.all = all;
  wrap.style.maxHeight = data.height ? data.height + 'px' : ''; wrap.style.setProperty('--cell', data.cell + 'px');
  none.textContent = data.rows.length ? '' : data.none; none.hidden = data.rows.length > 0;
  if (table.caption?.textContent !== data.name) { table.caption?.remove(); table.prepend(el('caption', '', data.name)); }
  columns(); rows(); kept.measure();

  function start() {
    const kept = { rows: new Map(), columns: '', rowsOf: el('tbody'), selected: '' };
    table.append(kept.rowsOf);
    table.addEventListener('click', e => {
      const tr = e.target.closest('tbody tr'), row = tr?.row;
      if (!row) return;
      const act = e.target.closest('button.act');
      if (act) { kept.tell('acted', { row: row.id, act: act.dataset.act }); return; }
      const inside = e.target.closest('a[href]');
      if (!row.go || (inside && !inside.classList.contains('name')) || e.metaKey || e.ctrlKey || e.shiftKey || e.defaultPrevented) return;
      // Whoever marks text in a row does not want to leave.
      if (!inside && String(root.getRootNode().getSelection?.() || getSelection())) return;
      e.preventDefault(); kept.tell('opened', row.id);
    });
    // Up and down go from row to row at the same place, so that a long list need not be tabbed through.
    table.addEventListener('keydown', e => {
      if (e.key !== 'ArrowDown' && e.key !== 'ArrowUp') return;
      const tr = e.target.closest('tbody tr'); if (!tr) return;
      const at = stops(tr).indexOf(e.target), step = e.key === 'ArrowDown' ? 'nextElementSibling' : 'previousElementSibling';
      let to = tr[step]; while (to && !stops(to).length) to = to[step];
      if (at < 0 || !to) return;
      e.preventDefault(); const found = stops(to); found[Math.min(at, found.length - 1)].focus();
    });
    // What scrolls can be scrolled by keyboard; what does not is no stop on the way.
    kept.measure = () => {
      const scrolls = wrap.scrollHeight > wrap.clientHeight + 1 || wrap.scrollWidth > wrap.clientWidth + 1;
      if (scrolls) { wrap.tabIndex = 0; wrap.setAttribute('role', 'region'); wrap.setAttribute('aria-label', table.caption?.textContent || ''); }
      else { wrap.removeAttribute('tabindex'); wrap.removeAttribute('role'); wrap.removeAttribute('aria-label'); }
    };
    new ResizeObserver(kept.measure).observe(wrap);
    return kept;
  }
  function stops(tr) { return [...tr.querySelectorAll('a[href], button')]; }
  function columns() {
    const shown = data.rows.length && data.columns.some(c => c.label), sign = shown ? JSON.stringify(data.columns) : '';
    if (sign === kept.columns) return;
    const on = root.getRootNode().activeElement?.dataset?.sort;
    kept.columns = sign; table.tHead?.remove();
    if (!shown) return;
    const tr = el('tr'), head = el('thead'); head.append(tr);
    for (const c of data.columns) {
      const th = el(c.label ? 'th' : 'td', c.right ? 'r' : '', c.label); if (c.label) th.scope = 'col';
      if (c.width) th.style.width = c.width; if (c.hint) th.title = c.hint;
      if (c.sort) sortable(th, c);
      if (c.sub) th.append(el('span', 'kind', c.sub));
      tr.append(th);
    }
    table.insertBefore(head, kept.rowsOf);
    if (on) [...head.querySelectorAll('button.sort')].find(b => b.dataset.sort === on)?.focus();
  }
  function sortable(th, c) {
    const b = el('button', 'sort', c.label), mark = el('span', 'dir', { up: '\u2191', down: '\u2193' }[c.sort] || ''); b.type = 'button'; b.dataset.sort = c.name; mark.setAttribute('aria-hidden', 'true');
    b.append(mark); b.onclick = () => kept.tell('sorted', c.name);
    th.replaceChildren(b); th.setAttribute('aria-sort', { up: 'ascending', down: 'descending' }[c.sort] || 'none');
  }
  function rows() {
    const body = kept.rowsOf, focused = root.getRootNode().activeElement || document.activeElement;
    const held = focused?.closest?.('tbody tr'), place = held && body.contains(held) ? { row: held, at: stops(held).indexOf(focused), index: held.sectionRowIndex } : null;
    const before = kept.rows, sides = JSON.stringify(data.columns.map(c => [c.right, c.width])); kept.rows = new Map();
    let next = body.firstElementChild;
    for (const row of data.rows) {
      let name = row.id; while (kept.rows.has(name)) name += '\\u0000';
      const sign = sides + JSON.stringify(row);
      let tr = before.get(name);
      if (!tr) tr = el('tr');
      if (tr.sign !== sign) { tr.sign = sign; tr.row = row; tr.replaceChildren(...row.cells.map((c, i) => cell(c, row, i))); tr.classList.toggle('go', row.go); }
      const on = row.id === data.selected; tr.classList.toggle('on', on);
      if (on) tr.setAttribute('aria-current', 'true'); else tr.removeAttribute('aria-current');
      if (tr === next) next = next.nextElementSibling; else body.insertBefore(tr, next);
      before.delete(name); kept.rows.set(name, tr);
    }
    for (const tr of before.values()) tr.remove();
    if (data.selected !== kept.selected) { kept.selected = data.selected; show(kept.rows.get(data.selected)); }
    if (place && place.at >= 0 && !(place.row.isConnected && focused.isConnected)) {
      const tr = place.row.isConnected ? place.row : body.rows[Math.min(place.index, body.rows.length - 1)];
      const found = tr ? stops(tr) : []; (found[Math.min(place.at, found.length - 1)] || wrap).focus({ preventScroll: true });
    }
  }
  function show(tr) {
    if (!tr) return;
    const top = tr.offsetTop - (table.tHead?.offsetHeight || 0), end = tr.offsetTop + tr.offsetHeight - wrap.clientHeight;
    if (top < wrap.scrollTop) wrap.scrollTop = top; else if (end > wrap.scrollTop) wrap.scrollTop = end;
  }
  function cell(c, row, i) {
    const column = data.columns[i] || {}, td = el('td', column.right ? 'r' : '');
    if (column.width) td.style.width = column.width;
    if (column.fills) td.classList.add('fill');
    if (c.cls) td.classList.add(c.cls);
    if (c.hint) td.title = c.hint;
    if (c.ledger) { const g = el('span', 'lg'); c.ledger.forEach((n, i) => { if (n) { const p = el('i', 'c' + i); p.style.flex = n + ' 0 0'; g.append(p); } }); td.append(g); return td; }
    if (c.spark) { const g = el('span', 'spark'), m = Math.max(...c.spark, 1); c.spark.forEach(n => { const p = el('i'); p.style.height = Math.round(100 * n / m) + '%'; g.append(p); }); td.append(g); return td; }
    if (c.strip) { const g = el('span', 'strip'); for (const one of c.strip) { const p = el(one.href ? 'a' : 'i', one.tone); p.title = one.hint; if (one.href) { p.href = one.href; p.tabIndex = -1; p.setAttribute('aria-label', one.hint); p.onclick = e => e.stopPropagation(); } g.append(p); } td.append(g); return td; }
    if (c.span) { const g = el('span', 'gantt'), p = el('i'); p.style.left = 100 * c.span[0] + '%'; p.style.width = 100 * (c.span[1] - c.span[0]) + '%'; g.append(p); td.append(g); return td; }
    if (c.bar !== undefined && c.bar !== null) { const g = el('span', 'bar ' + (c.tone || '')), p = el('i'); p.style.width = Math.round(100 * c.bar) + '%'; g.append(p); td.append(g); return td; }
    if (c.act) { const b = el('button', 'act', c.text); b.type = 'button'; b.dataset.act = c.act; td.append(b); }
    else if (c.chip) td.append(el('span', 'chip ' + c.chip, c.text));
    else if (i === 0 && row.go) { const a = el('a', 'name ' + (c.wrap ? 'wrap ' : 'cut ') + (c.tone || ''), c.text); a.href = row.href || '#'; td.append(a); }
    else td.append(el('span', (c.tone || '') + (c.wrap ? '' : ' cut'), c.text));
    if (c.sub) td.append(el('span', 'sub' + (c.wrap ? '' : ' cut'), c.sub));
    return td;
  }
}
"""
_listing = st.components.v2.component("spire_listing", html=HTML, css=CSS, js=JS)

Cell = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """A column: its label; `right` for figures; a width where the content should not decide; `fills` takes
    the room the others leave, and is cut only where that is too little.

    `sort` (can, up, down) makes the label a button that tells `name`; `sub` is a second line.
    """

    label: str = ""
    right: bool = False
    width: str = ""
    hint: str = ""
    name: str = ""
    sort: str = ""
    sub: str = ""
    fills: bool = False


@dataclass(frozen=True)
class Row:
    """A row: what it is called when chosen, its cells, and where it leads (`href` opens in a new tab too)."""

    id: str
    cells: list[Cell]
    href: str = ""
    go: bool = True


@dataclass(frozen=True)
class Chosen:
    """What was chosen just now: a row to open, an action on a row, a column to sort by. Empty means none was."""

    opened: str = ""
    row: str = ""
    act: str = ""
    sorted: str = ""


def cell(text: object = "", **more: Any) -> Cell:
    """A cell: sub, hint, tone (muted, bad, wait, ok, mono, b), chip, cls (changed, failed), act, bar, ledger, spark, span."""
    return {"text": "" if text is None else str(text), **more}


def figure(number: int | float | None, **more: Any) -> Cell:
    """A number with separators."""
    return cell("" if number is None else f"{number:,}", **more)


def listing(
    name: str,
    columns: list[Column],
    rows: list[Row],
    *,
    key: str,
    none: str = "Nothing here yet.",
    selected: str = "",
    height: int | None = None,
    widest: int = 320,
) -> Chosen:
    """Draw the list; gives what was chosen since the last run of the page. Longer cells are cut at `widest` px."""
    data = {
        "name": name,
        "columns": [vars(column) for column in columns],
        "rows": [vars(row) for row in rows],
        "none": none,
        "selected": selected,
        "height": height,
        "cell": widest,
    }
    found = _listing(
        key=key, data=data, on_opened_change=_nothing, on_acted_change=_nothing, on_sorted_change=_nothing
    )
    acted = found.acted or {}
    return Chosen(
        str(found.opened or ""), str(acted.get("row", "")), str(acted.get("act", "")), str(found.sorted or "")
    )


def _nothing() -> None:
    """A trigger needs somebody who listens; the page reads it from the answer."""
