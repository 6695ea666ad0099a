"""A chart of a result: bars or a line, drawn in SVG from the rows that came back."""

from __future__ import annotations

from typing import Any

import streamlit as st

MOST = 60

HTML = """<figure class="c"><svg role="img"></svg><figcaption></figcaption></figure>"""
CSS = """
.c { margin: 0; font: 400 12px/16px var(--st-font); color: var(--muted); padding: 4px 12px 8px; } svg { display: block; width: 100%; overflow: visible; } text { font: 400 12px/16px var(--st-font); fill: var(--muted); font-feature-settings: "tnum"; } text.v { fill: var(--text); }
rect.b { fill: var(--l-updated); } rect.b:hover { fill: var(--l-inserted); } rect.neg { fill: var(--l-duplicate); } line { stroke: var(--border); } line.zero { stroke: var(--border-2); } path { fill: none; stroke: var(--l-inserted); stroke-width: 2; stroke-linejoin: round; } circle { fill: var(--l-inserted); stroke: var(--bg); stroke-width: 1.5; } figcaption { margin-top: 4px; }
"""
JS = """
export default function ({ data, parentElement: root }) {
  const box = root.querySelector('.c'), svg = root.querySelector('svg');
  const make = (tag, attrs, text) => { const e = document.createElementNS('http://www.w3.org/2000/svg', tag); for (const [k, v] of Object.entries(attrs || {})) e.setAttribute(k, v); if (text !== undefined) e.textContent = text; return e; };
  const short = n => Math.abs(n) >= 1e9 ? +(n / 1e9).toPrecision(3) + ' bn' : Math.abs(n) >= 1e6 ? +(n / 1e6).toPrecision(3) + ' m' : n.toLocaleString('en', { maximumFractionDigits: 3 });
  const nice = most => { const p = 10 ** Math.floor(Math.log10(most || 1)), m = most / p; return p * (m <= 1 ? 1 : m <= 2 ? 2 : m <= 5 ? 5 : 10); };
  const draw = () => {
    const width = Math.max(320, (box.clientWidth || 700) - 24), said = JSON.stringify([data, width]);
    if (svg.said === said) return;
    svg.said = said; svg.replaceChildren(); svg.setAttribute('aria-label', data.name);
    root.querySelector('figcaption').textContent = data.note;
    const pts = data.points, high = Math.max(0, ...pts.map(p => p.y)), low = Math.min(0, ...pts.map(p => p.y));
    if (data.kind === 'bar') {
      // Lying bars, so that long names can be read.
      const row = pts.length > 25 ? 16 : 24, named = Math.min(260, width * .34, 16 + 6.6 * Math.max(...pts.map(p => p.x.length))), room = width - named - 84, height = pts.length * row;
      svg.setAttribute('viewBox', '0 0 ' + width + ' ' + height); svg.setAttribute('height', height);
      const span = (high - low) || 1, zero = named + room * -low / span;
      pts.forEach((p, i) => {
        const y = i * row, cut = Math.floor((named - 8) / 6.4), w = Math.max(1, room * Math.abs(p.y) / span), t = make('text', { x: named - 8, y: y + row / 2 + 4, 'text-anchor': 'end', class: 'v' }, p.x.length > cut ? p.x.slice(0, cut - 1) + '\\u2026' : p.x);
        t.append(make('title', {}, p.x));
        const r = make('rect', { class: 'b' + (p.y < 0 ? ' neg' : ''), x: p.y < 0 ? zero - w : zero, y: y + 3, width: w, height: row - 6, rx: 2 }); r.append(make('title', {}, p.x + ': ' + p.y.toLocaleString('en')));
        svg.append(t, r, make('text', { x: (p.y < 0 ? zero : zero + w) + 6, y: y + row / 2 + 4 }, short(p.y)));
      });
      return;
    }
    const height = 240, left = 56, top = 8, bottom = 24, w = width - left - 12, h = height - top - bottom;
    svg.setAttribute('viewBox', '0 0 ' + width + ' ' + height); svg.setAttribute('height', height);
    const max = high ? nice(high) : 0, min = low ? -nice(-low) : 0, span = (max - min) || 1, Y = v => top + h * (1 - (v - min) / span), X = i => left + (pts.length > 1 ? w * i / (pts.length - 1) : w / 2);
    for (let i = 0; i <= 4; i++) { const v = min + span * i / 4; svg.append(make('line', { x1: left, x2: left + w, y1: Y(v), y2: Y(v), class: v === 0 ? 'zero' : '' }), make('text', { x: left - 8, y: Y(v) + 4, 'text-anchor': 'end' }, short(v))); }
    svg.append(make('path', { d: pts.map((p, i) => (i ? 'L' : 'M') + X(i) + ' ' + Y(p.y)).join(' ') }));
    pts.forEach((p, i) => { const c = make('circle', { cx: X(i), cy: Y(p.y), r: pts.length > 80 ? 2 : 3.5 }); c.append(make('title', {}, p.x + ': ' + p.y.toLocaleString('en'))); svg.append(c); });
    const every = Math.ceil(pts.length / Math.max(2, Math.floor(w / 110)));
    pts.forEach((p, i) => { if (i % every) return; svg.append(make('text', { x: X(i), y: height - 4, 'text-anchor': i ? 'middle' : 'start' }, p.x.slice(0, 16))); });
  };
  draw(); svg.draw = draw;
  if (!svg.watch) { svg.watch = new ResizeObserver(() => svg.draw()); svg.watch.observe(box); }
}
"""
_chart = st.components.v2.component("spire_chart", html=HTML, css=CSS, js=JS)


def chart(name: str, kind: str, points: list[tuple[str, float]], *, key: str) -> None:
    """Draw `bar` or `line`; of bars the first `MOST`, which the note says."""
    shown = points[:MOST] if kind == "bar" else points
    note = f"The first {len(shown)} of {len(points):,} rows." if len(shown) < len(points) else ""
    data: dict[str, Any] = {
        "name": f"{name}: {len(shown)} values",
        "kind": kind,
        "note": note,
        "points": [{"x": x, "y": y} for x, y in shown],
    }
    _chart(key=key, data=data)
