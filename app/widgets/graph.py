"""A record's relations as a picture: the record in the middle, on the left what names it, on the right what it names.

The list beside it says the same in words, so the picture is for the eye and nothing depends on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import streamlit as st

from app.widgets import access

HTML = (
    """<div class="g"><svg role="group"></svg><p class="told" role="status" aria-live="polite"></p></div>"""
)
CSS = """
.g { font: 400 12px/16px var(--st-font); color: var(--text); } svg { display: block; width: 100%; overflow: visible; } svg text { font: 400 12px/16px var(--st-font); font-feature-settings: "calt" 0; fill: var(--text); }
path { fill: none; stroke: var(--border-2); stroke-width: 1; } path.on { stroke: var(--text); stroke-width: 1.5; } path.same { stroke-dasharray: 3 3; } .tip { fill: var(--border-2); } .tip.on { fill: var(--text); }
.lab { fill: var(--muted) !important; paint-order: stroke; stroke: var(--bg); stroke-width: 5px; stroke-linejoin: round; } a { cursor: pointer; text-decoration: none; } a text { font-weight: 500; } a:hover text { text-decoration: underline; } a:focus { outline: none; } a:focus-visible rect.ring { stroke: var(--accent-text); stroke-width: 2; } rect.ring { fill: transparent; stroke: none; }
.dot { stroke: var(--bg); stroke-width: 1.5; fill: var(--l-updated); } .dot.out { fill: var(--l-inserted); } .dot.far { fill: var(--bg); stroke: var(--border-2); } .away text { fill: var(--muted); font-weight: 400; }
.mid rect { fill: var(--bg-3); stroke: var(--border-2); } .mid text { font-weight: 600; } .told { margin: 4px 0 0; min-height: 16px; color: var(--muted); }
"""
JS = """
export default function ({ data, parentElement: root, setTriggerValue }) {
  const svg = root.querySelector('svg'), told = root.querySelector('.told');
  const make = (tag, attrs, text) => { const e = document.createElementNS('http://www.w3.org/2000/svg', tag); for (const [k, v] of Object.entries(attrs || {})) e.setAttribute(k, v); if (text !== undefined) e.textContent = text; return e; };
  const draw = () => {
    const width = Math.max(360, root.querySelector('.g').clientWidth || 640), said = JSON.stringify([data, width]);
    if (svg.said === said) return;
    const at = svg.getRootNode().activeElement?.dataset?.id;
    svg.said = said; svg.replaceChildren();
    svg.setAttribute('aria-label', data.name);
    const left = data.nodes.filter(n => n.side === 'left'), right = data.nodes.filter(n => n.side === 'right'), most = Math.max(left.length, right.length, 1);
    const row = Math.max(20, Math.min(36, 460 / most)), height = Math.max(150, most * row + 24), cx = width / 2, cy = height / 2;
    const middle = Math.min(200, width * .24), reach = Math.min(width * .2, 230);
    svg.setAttribute('viewBox', '0 0 ' + width + ' ' + height); svg.setAttribute('height', height);
    const lines = make('g'), labels = make('g'), dots = make('g'); svg.append(lines, labels, dots);
    const cut = (text, room) => { const n = Math.max(6, Math.floor(room / 7.1)); return text.length > n ? text.slice(0, n - 1) + '\\u2026' : text; };
    const place = (nodes, dir) => {
      let last = null;
      nodes.forEach((n, i) => {
        const y = cy + (i - (nodes.length - 1) / 2) * row, bend = Math.abs(y - cy) / (height / 2);
        const x = cx + dir * (middle / 2 + reach * (.62 + .38 * Math.sqrt(Math.max(0, 1 - bend * bend)))), sx = cx + dir * middle / 2;
        const into = n.way === 'in', p = make('path', { d: 'M' + sx + ' ' + cy + ' C' + (sx + dir * reach * .45) + ' ' + cy + ' ' + (x - dir * reach * .4) + ' ' + y + ' ' + x + ' ' + y, class: n.way === 'same' ? 'same' : '' });
        lines.append(p);
        const g = make(n.key ? 'a' : 'g', n.key ? { href: n.href, 'data-id': n.id, 'aria-label': n.said } : { class: 'away' });
        if (n.key) g.dataset.id = n.id;
        g.append(make('circle', { cx: x, cy: y, r: 4.5, class: 'dot' + (n.key ? n.way === 'out' ? ' out' : '' : ' far') }));
        const room = dir > 0 ? width - x - 14 : x - 14;
        const text = make('text', { x: x + dir * 10, y: y + 4, 'text-anchor': dir > 0 ? 'start' : 'end' }, cut(n.name, room)); g.append(text);
        g.append(make('title', {}, n.said));
        const wide = Math.min(room + 4, n.name.length * 6.8 + 24); g.append(make('rect', { class: 'ring', x: dir > 0 ? x - 8 : x + 8 - wide, y: y - 9, width: wide, height: 18, rx: 4 }));
        // The kind of a stretch of lines stands once, on its first.
        if (n.label !== last && nodes.length < 40) { const t = .6, my = cy + (y - cy) * .68; labels.append(make('text', { class: 'lab', x: sx + (x - sx) * t, y: my - 4, 'text-anchor': 'middle' }, cut((into ? '\\u2190 ' : '') + n.label + (n.way === 'out' ? ' \\u2192' : ''), reach))); last = n.label; }
        const on = yes => { p.classList.toggle('on', yes); told.textContent = yes ? n.said : ''; };
        g.onmouseenter = () => on(true); g.onmouseleave = () => on(false); g.onfocus = () => on(true); g.onblur = () => on(false);
        if (n.key) g.onclick = e => { if (e.metaKey || e.ctrlKey || e.shiftKey) return; e.preventDefault(); setTriggerValue('opened', n.id); };
        dots.append(g);
      });
    };
    place(left, -1); place(right, 1);
    const mid = make('g', { class: 'mid' }); mid.append(make('rect', { x: cx - middle / 2, y: cy - 15, width: middle, height: 30, rx: 6 }), make('text', { x: cx, y: cy + 4, 'text-anchor': 'middle' }, cut(data.middle, middle - 12))); mid.append(make('title', {}, data.middle)); svg.append(mid);
    if (at) [...svg.querySelectorAll('a')].find(a => a.dataset.id === at)?.focus();
  };
  draw();
  if (!svg.watch) { svg.watch = new ResizeObserver(() => svg.draw?.()); svg.watch.observe(root.querySelector('.g')); }
  svg.draw = draw;
}
"""
_graph = st.components.v2.component("spire_graph", html=HTML, css=CSS, js=JS)


@dataclass(frozen=True)
class Node:
    """One relation as it is drawn."""

    target: str
    key: str
    name: str
    label: str
    way: str
    kind: str

    @property
    def id(self) -> str:
        return f"{self.target}/{self.key}"

    @property
    def said(self) -> str:
        """The relation in words."""
        where = "" if self.key else " (not in the store)"
        named = f"{self.kind} {self.name}".strip()
        if self.way == "same":
            return f"The same value: {named}{where}"
        return (
            f"{named} {self.label} this{where}" if self.way == "in" else f"This {self.label} {named}{where}"
        )


def graph(middle: str, nodes: list[Node], *, key: str) -> None:
    """Draw it; a click triggers `opened` with the node's id."""
    data = {
        "name": f"Relations of {middle}",
        "middle": middle,
        "nodes": [
            {
                **vars(node),
                "id": node.id,
                "said": node.said,
                "side": side,
                "href": access.address("explorer", target=node.target, record=node.key),
            }
            for node, side in _sides(nodes)
        ],
    }
    _graph(key=key, data=data, on_opened_change=_nothing)


def _sides(nodes: list[Node]) -> list[tuple[Node, Any]]:
    """What names the record stands on its left, what it names on its right; if one side would be too long, both share."""
    ordered = sorted(nodes, key=lambda n: (n.way, n.label, n.name.lower()))
    left = [n for n in ordered if n.way == "in"]
    right = [n for n in ordered if n.way != "in"]
    longer, shorter = (left, right) if len(left) >= len(right) else (right, left)
    if len(longer) > 24 and len(longer) > 2 * len(shorter):
        spare = (len(longer) - len(shorter)) // 2
        longer, shorter = longer[:-spare], [*shorter, *longer[-spare:]]
        left, right = (longer, shorter) if len(left) >= len(right) else (shorter, longer)
    return [(n, "left") for n in left] + [(n, "right") for n in right]


def _nothing() -> None:
    """A trigger needs somebody who listens; the page reads it when it begins."""
