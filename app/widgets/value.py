"""A record's value copied, as it is or defanged; shown again in full where a heading is too short for it."""

from __future__ import annotations

import streamlit as st

HTML = """<div class="val"><span class="v"></span><span class="acts"></span><span class="told" role="status" aria-live="polite"></span></div>"""
CSS = """
.val { display: flex; flex-wrap: wrap; align-items: center; gap: 4px 12px; font: 400 13px/20px var(--st-font); color: var(--text); }
.v { font: 400 13px/20px var(--mono); font-feature-settings: normal; overflow-wrap: anywhere; unicode-bidi: isolate; max-height: 100px; overflow: auto; }
.acts { display: inline-flex; gap: 6px; } button { height: 26px; padding: 0 8px; font: 500 12px/24px var(--st-font); color: var(--text); background: var(--bg); border: 1px solid var(--border); border-radius: 6px; cursor: pointer; } button:hover { background: var(--bg-2); }
button:focus-visible { outline: 2px solid var(--accent-text); outline-offset: 1px; } .told { font-size: 12px; color: var(--ok-text); } .told:empty { display: none; }
"""
JS = """
export default function ({ data, parentElement: root }) {
  const v = root.querySelector('.v'), acts = root.querySelector('.acts'), told = root.querySelector('.told');
  const said = JSON.stringify(data); if (v.said === said) return; v.said = said;
  v.textContent = data.shown; v.hidden = !data.shown; told.textContent = ''; acts.replaceChildren();
  const copy = async text => {
    try { await navigator.clipboard.writeText(text); return true; }
    catch { const t = document.createElement('textarea'); t.value = text; t.style.position = 'fixed'; t.style.opacity = '0'; document.body.append(t); t.select(); const done = document.execCommand('copy'); t.remove(); return done; }
  };
  for (const c of data.copies) {
    const b = document.createElement('button'); b.type = 'button'; b.textContent = c.label; b.title = c.text.slice(0, 300);
    b.onclick = async () => { told.textContent = await copy(c.text) ? c.done : 'The browser did not allow copying; select the text instead.'; b.focus(); };
    acts.append(b);
  }
}
"""
_value = st.components.v2.component("spire_value", html=HTML, css=CSS, js=JS)


def value(text: str, defanged: str, *, shown: bool, key: str) -> None:
    """Draw buttons that copy a value, in both forms where it could be clicked on; `shown` draws it too."""
    copies = [{"label": "Copy", "text": text, "done": "Copied."}]
    if defanged and defanged != text:
        copies = [
            {"label": "Copy defanged", "text": defanged, "done": "The defanged form is copied."},
            {"label": "Copy live", "text": text, "done": "The live form is copied. Mind where you paste it."},
        ]
    _value(key=key, data={"shown": (defanged or text) if shown else "", "copies": copies})
