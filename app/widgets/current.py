"""The current page's own link in the sidebar leads back to the whole page, as people expect of it.

Streamlit takes a click on it for a visit to where one is already and keeps the address as it stands.
"""

from __future__ import annotations

import streamlit as st

JS = """
export default function () {
  const lead = event => {
    const link = event.target.closest?.('[data-testid="stSidebarNavLink"][aria-current="page"]');
    if (link && location.search && !event.metaKey && !event.ctrlKey) { event.preventDefault(); event.stopPropagation(); location.assign(link.href); }
  };
  document.addEventListener('click', lead, true);
  return () => document.removeEventListener('click', lead, true);
}
"""
_current = st.components.v2.component("spire_current", js=JS)


def lead_back() -> None:
    """Let the current page's link lead to the page without its parameters."""
    _current(key="lead-back", height=1)
