"""Below a long form an answer can come unseen: what has just been asked for is scrolled into view."""

from __future__ import annotations

import time

import streamlit as st

# What stands above may still be growing when this is drawn, so it looks again a little later.
JS = """
export default function ({ parentElement: root }) {
  const look = () => (root.host || root).scrollIntoView({ block: 'nearest' });
  const later = [0, 150, 500].map(after => setTimeout(look, after));
  return () => later.forEach(clearTimeout);
}
"""
_reveal = st.components.v2.component("spire_reveal", html="<span></span>", js=JS)


def reveal(key: str) -> None:
    """Stand below what was just asked for; drawn in that run of the page only."""
    # What stays the same is not drawn again, and who asks twice wants to see it twice.
    _reveal(key=key, data={"at": time.monotonic_ns()})
