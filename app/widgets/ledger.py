"""The ledger's picture: the equation of a run, drawn in its own order."""

from __future__ import annotations

from html import escape
from typing import Any

import streamlit as st

from app.widgets.words import percent

PARTS = (
    ("inserted", "in", "new in the store"),
    ("updated", "up", "a newer version"),
    ("unchanged", "un", "same as stored"),
    ("duplicate", "du", "repeated in load"),
    ("rejected", "re", "in quarantine"),
    ("filtered", "fi", "left out on purpose"),
)


def figures(ledger: Any) -> list[int]:
    """The six parts in the order of the equation, for a small picture in a list."""
    return [int(getattr(ledger, name)) for name, _, _ in PARTS]


def picture(ledger: Any, extent: str = "") -> None:
    """Draw the whole equation. Parts under 0.5 % are drawn 4 px wide, and it says so."""
    read = ledger.read
    bars, terms = "", ""
    for place, (name, mark, meaning) in enumerate(PARTS):
        number = getattr(ledger, name)
        if number:
            bars += f'<i class="c-{mark}" style="flex:{number} 0 0" title="{name}: {number:,}"></i>'
        red = " bt" if name == "rejected" and number else ""
        terms += (
            f'<div class="t"><span class="op">{"=" if place == 0 else "+"}</span>'
            f'<span class="lab"><i class="sw c-{mark}"></i>{name}</span><span class="big{red}">{number:,}</span>'
            f'<span class="s">{percent(number, read)}<br>{meaning}</span></div>'
        )
    whole = sum(figures(ledger))
    verdict = (
        '<b class="okt">Books balance</b><span class="s m">difference 0</span>'
        if ledger.balanced
        else f'<b class="bt">Books do not balance</b><span class="s bt">difference {read - whole:,}</span>'
    )
    kept = ledger.inserted + ledger.updated + ledger.unchanged
    tiny = any(0 < number < read * 0.005 for number in figures(ledger))
    st.html(
        f'<section class="led" aria-label="Ledger"><div class="top"><b class="sp-title">Ledger</b>'
        f'<span class="s m">{escape(extent or f"all {read:,} rows")}</span><span class="sp"></span>{verdict}</div>'
        f'<div class="rd"></div><div class="lg{"" if bars else " none"}">{bars}</div>'
        f'<div class="eq"><div class="t tot"><span class="lab">read</span><span class="big">{read:,}</span>'
        f'<span class="s">{"100 %" if read else "nothing"}<br>what the source holds</span></div>{terms}</div>'
        f'<div class="key"><span>Kept in the store: {kept:,}</span>'
        f"<span>Left out on purpose: {ledger.duplicate + ledger.filtered:,}</span>"
        f"<span>To repair: {ledger.rejected:,}</span><span style='flex:1'></span>"
        f"<span>{'Parts under 0.5 % are drawn 4 px wide' if tiny else ''}</span></div></section>"
    )
