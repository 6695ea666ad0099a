"""The ledger's picture: the equation of a run, drawn in its own order, and moved in place while the run lasts."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.widgets.words import count, percent

HTML = """
<section class="led" aria-label="Ledger">
<div class="top"><span class="title" role="heading" aria-level="2">Ledger</span><span class="s extent"></span><span class="sp"></span><b class="verdict"></b><span class="s difference"></span></div>
<div class="rd"></div><div class="lg" role="img"></div>
<div class="eq"></div>
<div class="key"><span class="kept"></span><span class="left"></span><span class="repair"></span><span class="sp"></span><span class="tiny"></span></div>
</section>
"""
CSS = """
.led { font: 400 13px/20px var(--st-font); color: var(--text); font-feature-settings: "tnum", "cv05"; border: 1px solid var(--border); border-radius: var(--r-3); padding: 12px 16px; background: var(--bg); }
.top { display: flex; align-items: center; gap: 8px; } .title { font-size: 14px; font-weight: 600; } .sp { flex: 1; }
.s { font-size: 12px; color: var(--muted); } b { font-weight: 600; }
.verdict.ok { color: var(--ok-text); } .verdict.ok::before { content: "✓"; margin-right: 6px; } .verdict.bad, .bad { color: var(--bad-text); }
.rd { height: 8px; margin: 10px 0 4px; border: 1px solid var(--border-2); border-bottom: 0; border-radius: 2px 2px 0 0; }
.lg { display: flex; gap: 2px; height: 52px; } .lg.none { background: var(--bg-3); border-radius: 2px; }
.lg i { display: block; height: 100%; min-width: 4px; border-radius: 1px; transition: flex-grow .6s linear; }
.lg i[hidden] { display: none; }
.inserted { background: var(--l-inserted); } .updated { background: var(--l-updated); } .unchanged { background: var(--l-unchanged); } .duplicate { background: var(--l-duplicate); } .rejected { background: var(--l-rejected); }
.filtered { background: repeating-linear-gradient(135deg, var(--l-filtered) 0 2px, transparent 2px 4px); }
.eq { display: grid; grid-template-columns: repeat(7, auto); justify-content: space-between; margin-top: 12px; }
.t { position: relative; padding-left: 20px; display: flex; flex-direction: column; } .t.tot { padding-left: 0; }
.op { position: absolute; left: -2px; top: 21px; font-size: 16px; color: var(--muted); }
.lab { font-size: 12px; line-height: 18px; display: flex; align-items: center; gap: 6px; } .sw { width: 10px; height: 10px; border-radius: 2px; box-sizing: border-box; } .sw.filtered { border: 1px solid var(--l-filtered); }
.big { font-size: 20px; font-weight: 600; line-height: 28px; letter-spacing: -.01em; font-variant-numeric: tabular-nums; } .t .s { line-height: 16px; white-space: nowrap; }
.key { display: flex; gap: 20px; margin-top: 10px; padding-top: 8px; border-top: 1px solid var(--border); font-size: 12px; line-height: 18px; color: var(--muted); }
@media (prefers-reduced-motion: reduce) { .lg i { transition: none; } }
@media (max-width: 900px) { .eq { grid-template-columns: repeat(4, auto); row-gap: 12px; } }
"""
JS = """
export default function ({ data, parentElement: root }) {
  const el = (tag, cls, text) => { const e = document.createElement(tag); if (cls) e.className = cls; if (text !== undefined) e.textContent = text; return e; };
  const at = name => root.querySelector('.' + name), say = (e, text) => { if (e.textContent !== text) e.textContent = text; };
  const bar = at('lg'), eq = at('eq');
  if (!eq.childElementCount) {
    const term = (name, op, label) => {
      const t = el('div', 't' + (op ? '' : ' tot')), lab = el('span', 'lab'), s = el('span', 's'); t.dataset.part = name;
      if (op) { const o = el('span', 'op', op); o.setAttribute('aria-hidden', 'true'); t.append(o); lab.append(el('i', 'sw ' + name)); }
      lab.append(label); s.append(el('span', 'share'), el('br'), el('span', 'meaning')); t.append(lab, el('span', 'big'), s); return t;
    };
    eq.append(term('read', '', 'read'));
    data.parts.forEach((p, n) => { eq.append(term(p.name, n ? '+' : '=', p.name)); const i = el('i', p.name); i.dataset.part = p.name; bar.append(i); });
  }
  say(at('extent'), data.extent); say(at('verdict'), data.verdict); at('verdict').className = 'verdict ' + data.tone;
  say(at('difference'), data.difference);
  for (const p of [data.read, ...data.parts]) {
    const t = eq.querySelector('[data-part="' + p.name + '"]');
    say(t.querySelector('.big'), p.figure); say(t.querySelector('.share'), p.share); say(t.querySelector('.meaning'), p.meaning);
    t.querySelector('.big').classList.toggle('bad', p.name === 'rejected' && p.number > 0);
  }
  for (const p of data.parts) { const i = bar.querySelector('[data-part="' + p.name + '"]'); i.hidden = !p.number; i.style.flex = p.number + ' 1 0'; i.title = p.name + ': ' + p.figure; }
  bar.classList.toggle('none', !data.parts.some(p => p.number)); bar.setAttribute('aria-label', data.words);
  say(at('kept'), data.kept); say(at('left'), data.left); say(at('repair'), data.repair); say(at('tiny'), data.tiny);
}
"""
_picture = st.components.v2.component("spire_ledger", html=HTML, css=CSS, js=JS)

PARTS = (
    ("inserted", "new in the store"),
    ("updated", "a newer version"),
    ("unchanged", "same as stored"),
    ("duplicate", "repeated in load"),
    ("rejected", "in quarantine"),
    ("filtered", "left out on purpose"),
)


def figures(ledger: Any) -> list[int]:
    """The six parts in the order of the equation, for a small picture in a list."""
    return [int(getattr(ledger, name)) for name, _ in PARTS]


def in_words(ledger: Any) -> str:
    """The equation as a sentence."""
    parts = [
        f"{getattr(ledger, name):,} {name}, {meaning}" for name, meaning in PARTS if getattr(ledger, name)
    ]
    return f"{count(ledger.read, 'row')} read: {'; '.join(parts) or 'nothing'}."


def picture(
    ledger: Any,
    extent: str = "",
    *,
    key: str = "ledger",
    of: str = "what the source holds",
    open: bool = False,
    taken_back: bool = False,
) -> None:
    """Draw the whole equation; `open` while a run is under way. Parts under 0.5 % are drawn 4 px wide, and it says so."""
    read, whole = ledger.read, sum(figures(ledger))
    tiny = any(0 < number < read * 0.005 for number in figures(ledger))
    kept = f"Kept in the store: {ledger.inserted + ledger.updated + ledger.unchanged:,}"
    if taken_back:
        kept = f"Taken back: {count(ledger.inserted + ledger.updated, 'version')}"
    verdict, tone, difference = "Books balance", "ok", "difference 0"
    if open:
        verdict, tone, difference = "", "", "balanced with every batch"
    elif not ledger.balanced:
        verdict, tone, difference = "Books do not balance", "bad", f"difference {read - whole:,}"
    _picture(
        key=key,
        data={
            "extent": extent or f"all {read:,} rows",
            "verdict": verdict,
            "tone": tone,
            "difference": difference,
            "words": in_words(ledger),
            "read": {
                "name": "read", "number": read, "figure": f"{read:,}", "share": "100 %" if read else "nothing", "meaning": of,
            },
            "parts": [
                _part(ledger, name, "taken back" if taken_back and name in ("inserted", "updated") else meaning)
                for name, meaning in PARTS
            ],
            "kept": kept,
            "left": f"Left out on purpose: {ledger.duplicate + ledger.filtered:,}",
            "repair": f"To repair: {ledger.rejected:,}",
            "tiny": "Parts under 0.5 % are drawn 4 px wide" if tiny else "",
        },
    )  # fmt: skip


def _part(ledger: Any, name: str, meaning: str) -> dict[str, Any]:
    number = int(getattr(ledger, name))
    return {
        "name": name, "number": number, "figure": f"{number:,}", "share": percent(number, ledger.read), "meaning": meaning,
    }  # fmt: skip
