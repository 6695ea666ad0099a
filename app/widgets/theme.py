"""Light or dark: what this browser chose, kept in it and nowhere else."""

from __future__ import annotations

import streamlit as st

# Streamlit keeps its choice by the path a visit begins at, so it is written for each of ours; the tokens
# follow the attribute on the root.
KEEP = """
export default function () {
  const chosen = localStorage.getItem('spire-theme');
  if (chosen) document.documentElement.dataset.theme = chosen; else delete document.documentElement.dataset.theme;
}
"""
HTML = """<fieldset><legend>Theme</legend><div class="choices"></div></fieldset>"""
CSS = """
fieldset { border: 0; margin: 0; padding: 0; font: 400 13px/20px var(--st-font); color: var(--text); } legend { padding: 0; font-size: 12px; color: var(--muted); margin-bottom: 6px; }
.choices { display: inline-flex; border: 1px solid var(--border-2); border-radius: 6px; overflow: hidden; }
label { padding: 5px 14px; cursor: pointer; font-weight: 500; } label + label { border-left: 1px solid var(--border); } label:hover { background: var(--bg-2); } label:has(:checked) { background: var(--bg-3); font-weight: 600; }
label:has(:focus-visible) { outline: 2px solid var(--accent-text); outline-offset: -2px; border-radius: 6px; } input { position: absolute; opacity: 0; pointer-events: none; }
"""
CHOOSE = """
export default function ({ data, parentElement: root }) {
  const box = root.querySelector('.choices'); if (box.childElementCount) return;
  const now = localStorage.getItem('spire-theme') || '';
  for (const [value, text, theirs] of [['', 'As the system', 'System'], ['light', 'Light', 'Light'], ['dark', 'Dark', 'Dark']]) {
    const label = document.createElement('label'), input = document.createElement('input');
    input.type = 'radio'; input.name = 'theme'; input.value = value; input.checked = value === now; label.append(input, text); box.append(label);
    input.onchange = () => {
      if (value) localStorage.setItem('spire-theme', value); else localStorage.removeItem('spire-theme');
      for (const path of data.paths) localStorage.setItem('stActiveTheme-' + path + '-v2', JSON.stringify(theirs));
      location.reload();
    };
  }
}
"""
_keep = st.components.v2.component("spire_theme_kept", js=KEEP)
_choose = st.components.v2.component("spire_theme", html=HTML, css=CSS, js=CHOOSE)


def keep_theme() -> None:
    """Have the tokens follow what this browser chose."""
    _keep(key="theme-kept", height=1)


def theme(paths: list[str]) -> None:
    """The choice. `paths` are those a visit may begin at."""
    _choose(key="theme", data={"paths": paths})
