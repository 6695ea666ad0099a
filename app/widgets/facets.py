"""Facets and chips: what records can be narrowed down to, with counts, and what they are narrowed down to now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import streamlit as st

HTML = """<div class="facets"></div>"""
CSS = """
.facets { font: 400 13px/20px var(--st-font); color: var(--text); font-feature-settings: "tnum", "cv05", "calt" 0; }
section { padding: 8px 0; border-bottom: 1px solid var(--border); } section:last-child { border-bottom: 0; }
h3 { margin: 0; padding: 0 12px 2px; font: 500 12px/18px var(--st-font); color: var(--muted); display: flex; justify-content: space-between; }
button { position: relative; display: grid; grid-template-columns: 14px minmax(0, 1fr) auto; gap: 8px; align-items: center; width: 100%; min-height: 26px; padding: 1px 12px; border: 0; background: none; font: inherit; color: inherit; text-align: left; cursor: pointer; box-sizing: border-box; }
button:hover { background: var(--bg-2); } button:focus-visible { outline: 2px solid var(--accent-text); outline-offset: -2px; border-radius: 4px; }
.box { width: 14px; height: 14px; border: 1px solid var(--border-2); border-radius: 3px; box-sizing: border-box; display: grid; place-items: center; font: 700 11px/1 var(--st-font); }
button[aria-pressed="true"] .box { background: var(--text); border-color: var(--text); color: var(--bg); } button[aria-pressed="true"] .t { font-weight: 600; }
.t { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; } .t.none { color: var(--muted); font-style: italic; }
.n { font-size: 12px; color: var(--muted); font-variant-numeric: tabular-nums; }
.bar { position: absolute; left: 34px; right: 12px; bottom: 1px; height: 2px; } .bar i { display: block; height: 2px; min-width: 2px; border-radius: 1px; background: var(--l-unchanged); } button[aria-pressed="true"] .bar i { background: var(--l-inserted); }
button.fold { display: block; padding: 1px 12px 1px 34px; font-size: 12px; color: var(--accent-text); font-weight: 500; } button.fold:hover { background: none; text-decoration: underline; }
.more { padding: 2px 12px 0 34px; font-size: 12px; color: var(--muted); } .empty { padding: 12px; color: var(--muted); }
"""
JS = """
export default function ({ data, parentElement: root, setTriggerValue }) {
  const el = (tag, cls, text) => { const e = document.createElement(tag); if (cls) e.className = cls; if (text !== undefined) e.textContent = text; return e; };
  const box = root.querySelector('.facets'), said = JSON.stringify(data), SOME = 5;
  box.open ??= new Set(); box.again = draw; draw();
  function draw() {
  if (box.said === said) return;
  box.said = said;
  // Drawn anew only when something changed, and whoever stands on a value stays on it.
  const at = box.getRootNode().activeElement?.dataset?.id;
  box.replaceChildren();
  if (!data.facets.length) box.append(el('div', 'empty', data.none));
  for (const facet of data.facets) {
    const part = el('section'), head = el('h3'); head.append(el('span', '', facet.title)); part.append(head); part.setAttribute('aria-label', facet.title);
    const most = Math.max(1, ...facet.values.map(v => v.count));
    const some = facet.values.length > SOME + 1 && !box.open.has(facet.field) ? facet.values.filter((v, i) => i < SOME || v.on) : facet.values;
    for (const v of some) {
      const b = el('button'); b.type = 'button'; b.dataset.id = facet.field + '=' + v.value; b.title = v.label; b.setAttribute('aria-pressed', v.on ? 'true' : 'false');
      b.setAttribute('aria-label', v.label + ', ' + v.count.toLocaleString('en') + (v.count === 1 ? ' record' : ' records'));
      const mark = el('span', 'box', v.on ? '\\u2713' : ''); mark.setAttribute('aria-hidden', 'true');
      const bar = el('span', 'bar'), fill = el('i'); fill.style.width = 100 * v.count / most + '%'; if (!v.count) fill.style.display = 'none'; bar.append(fill);
      b.append(mark, el('span', 't' + (v.value === '' ? ' none' : ''), v.label), el('span', 'n', v.count.toLocaleString('en')), bar);
      b.onclick = () => setTriggerValue('picked', { field: facet.field, value: v.value });
      part.append(b);
    }
    if (facet.values.length > SOME + 1) {
      const b = el('button', 'fold', some.length < facet.values.length ? 'Show ' + (facet.values.length - some.length) + ' more' : 'Show fewer'); b.type = 'button'; b.dataset.id = facet.field; b.setAttribute('aria-label', b.textContent + ', ' + facet.title);
      b.onclick = () => { box.open.has(facet.field) ? box.open.delete(facet.field) : box.open.add(facet.field); box.said = ''; box.again(); };
      part.append(b);
    }
    if (facet.more && some.length === facet.values.length) part.append(el('div', 'more', facet.more.toLocaleString('en') + (facet.more === 1 ? ' other value' : ' other values') + '; search for them'));
    box.append(part);
  }
  if (at !== undefined) [...box.querySelectorAll('button')].find(b => b.dataset.id === at)?.focus();
  }
}
"""
CHIPS = """<div class="chips" role="group" aria-label="Filters in force"></div>"""
CHIPS_CSS = """
.chips { display: flex; flex-wrap: wrap; gap: 6px; align-items: center; font: 500 12px/20px var(--st-font); color: var(--text); min-height: 24px; }
.chip { display: inline-flex; align-items: center; gap: 6px; max-width: 340px; padding: 1px 4px 1px 8px; border-radius: 4px; background: var(--bg-3); } .chip span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; } .chip em { font-style: normal; font-weight: 400; color: var(--muted); }
button { border: 0; background: none; color: inherit; font: 500 12px/18px var(--st-font); padding: 0 4px; border-radius: 3px; cursor: pointer; } button:hover { background: var(--border); } button.all { color: var(--accent-text); } button.all:hover { background: none; text-decoration: underline; }
button:focus-visible { outline: 2px solid var(--accent-text); outline-offset: 1px; }
"""
CHIPS_JS = """
export default function ({ data, parentElement: root, setTriggerValue }) {
  const el = (tag, cls, text) => { const e = document.createElement(tag); if (cls) e.className = cls; if (text !== undefined) e.textContent = text; return e; };
  const box = root.querySelector('.chips'), said = JSON.stringify(data);
  if (box.said === said) return;
  const before = [...box.querySelectorAll('button')], at = before.indexOf(box.getRootNode().activeElement);
  box.said = said; box.replaceChildren();
  for (const c of data.chips) {
    const chip = el('span', 'chip'), text = el('span'); text.append(el('em', '', c.title + ' '), c.label); text.title = c.title + ' ' + c.label;
    const b = el('button', '', '\\u00d7'); b.type = 'button'; b.setAttribute('aria-label', 'Remove ' + c.title + ' ' + c.label); b.onclick = () => setTriggerValue('removed', c.id);
    chip.append(text, b); box.append(chip);
  }
  if (data.chips.length > 1) { const all = el('button', 'all', 'Clear all'); all.type = 'button'; all.onclick = () => setTriggerValue('removed', '*'); box.append(all); }
  if (at >= 0) [...box.querySelectorAll('button')][Math.min(at, data.chips.length - 1)]?.focus();
}
"""
_facets = st.components.v2.component("spire_facets", html=HTML, css=CSS, js=JS)
_chips = st.components.v2.component("spire_chips", html=CHIPS, css=CHIPS_CSS, js=CHIPS_JS)


@dataclass(frozen=True)
class Chip:
    """One filter in force: what it is called when removed, of what, and which."""

    id: str
    title: str
    label: str


def facet_list(facets: list[Any], on: set[tuple[str, str]], *, none: str, key: str) -> None:
    """Draw the facets; a click triggers `picked` with field and value. `on` are the values filtered by."""
    drawn = [
        {
            "field": facet.field,
            "title": facet.title,
            "more": facet.more,
            "values": [
                {"value": v.value, "label": v.label, "count": v.count, "on": (facet.field, v.value) in on}
                for v in facet.values
                # A span that was typed or drawn is no value of the list; its chip tells it.
                if not (v.label == v.value and ".." in v.value)
            ],
        }
        for facet in facets
    ]
    data = {"facets": drawn, "none": none}
    _facets(key=key, data=data, on_picked_change=_nothing)


def chips(shown: list[Chip], *, key: str) -> None:
    """Draw what is filtered by; a click triggers `removed` with the chip's id, or `*` for all."""
    _chips(key=key, data={"chips": [vars(chip) for chip in shown]}, on_removed_change=_nothing)


def _nothing() -> None:
    """A trigger needs somebody who listens; the page reads it when it begins."""
