"""A row of bars that tell, each by its height and colour, and lead on where one is chosen."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import streamlit as st

HTML = """<div class="all"><div class="bars" role="group"></div><div class="ends" aria-hidden="true"><span></span><span></span></div></div>"""
CSS = """
.all { padding: 10px 12px 6px; font: 400 12px/16px var(--st-font); color: var(--muted); }
.bars { display: flex; align-items: flex-end; gap: 2px; height: var(--tall, 48px); border-bottom: 1px solid var(--border); }
button { all: unset; box-sizing: border-box; flex: 1 1 0; max-width: var(--wide, 28px); height: 100%; display: flex; flex-direction: column; justify-content: flex-end; border-radius: 2px; cursor: pointer; }
button[aria-disabled="true"] { cursor: default; }
button:hover { background: var(--bg-3); } button:focus-visible { outline: 2px solid var(--accent-text); outline-offset: 1px; } button[aria-pressed="true"] { background: var(--bg-3); box-shadow: inset 0 -2px 0 var(--text); }
i { display: block; min-height: 2px; background: var(--muted); } i:first-child { border-radius: 2px 2px 0 0; } i:empty[style="height: 0%;"] { display: none; }
.ok { background: var(--l-inserted); } .bad { background: var(--bad); } .wait { background: var(--wait); } .now { background: var(--muted); } .none { background: none; border: 1px dashed var(--border-2); border-bottom: 0; }
.ends { display: flex; justify-content: space-between; padding-top: 4px; }
"""
JS = """
export default function ({ data, parentElement: root, setTriggerValue }) {
  const bars = root.querySelector('.bars'), ends = root.querySelectorAll('.ends span'), said = JSON.stringify(data);
  if (bars.said === said) return;
  const at = [...bars.children].indexOf(bars.getRootNode().activeElement);
  bars.said = said; bars.setAttribute('aria-label', data.name); bars.style.setProperty('--tall', data.tall + 'px'); bars.style.setProperty('--wide', data.wide + 'px');
  const all = data.bars.map((bar, i) => {
    const b = document.createElement('button'); b.type = 'button'; b.tabIndex = i === data.bars.length - 1 ? 0 : -1; b.title = bar.label;
    b.setAttribute('aria-label', bar.label); if (!bar.opens) b.setAttribute('aria-disabled', 'true'); if (data.chosen) b.setAttribute('aria-pressed', String(bar.id === data.chosen));
    for (const [share, tone] of [[bar.part, 'bad'], [bar.share - bar.part, bar.tone]]) if (share > 0) { const p = document.createElement('i'); p.className = tone; p.style.height = Math.max(100 * share, 4) + '%'; b.append(p); }
    b.onclick = () => { if (bar.opens) setTriggerValue('chosen', bar.id); };
    b.onfocus = () => all.forEach(o => { o.tabIndex = o === b ? 0 : -1; });
    b.onkeydown = e => { const to = { ArrowRight: i + 1, ArrowLeft: i - 1, Home: 0, End: all.length - 1 }[e.key]; if (all[to]) { e.preventDefault(); all[to].focus(); } };
    return b;
  });
  bars.replaceChildren(...all); ends[0].textContent = data.first; ends[1].textContent = data.last;
  if (at >= 0) all[Math.min(at, all.length - 1)]?.focus();
}
"""
_bars = st.components.v2.component("spire_bars", html=HTML, css=CSS, js=JS)


@dataclass(frozen=True)
class Bar:
    """A bar: what it is called when chosen, what hovering tells, its height and, of it, the red part (0 to 1)."""

    id: str
    label: str
    share: float = 1
    part: float = 0
    tone: str = "now"
    opens: bool = True


def bars(
    name: str,
    found: list[Bar],
    *,
    key: str,
    first: str = "",
    last: str = "",
    chosen: str = "",
    tall: int = 48,
    wide: int = 28,
) -> str:
    """Draw the bars, with words under the first and the last; gives the one chosen just now."""
    data = {
        "name": name, "bars": [asdict(bar) for bar in found], "first": first, "last": last, "chosen": chosen,
        "tall": tall, "wide": wide,
    }  # fmt: skip
    answer = _bars(key=key, data=data, on_chosen_change=_nothing)
    return str(answer.chosen or "")


def _nothing() -> None:
    """A trigger needs somebody who listens; the page reads it from the answer."""
