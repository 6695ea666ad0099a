"""What is known of objects from outside them, in plain words: on a record's page, a run's and in the Explorer."""

from __future__ import annotations

from html import escape
from typing import Any

import streamlit as st

from app.widgets import access, frame, words
from app.widgets.listing import Column, Row, cell, figure, listing
from app.widgets.output import text_of

# What happened to a record in a run: of many, and of one.
SAID = {
    "altered": ("changed without a new version", "same version, other content"),
    "revoked": ("revoked by the source", "revoked"),
    "gone": ("no longer in the source, and kept", "no longer in the source"),
    "back": ("in the source again", "in the source again"),
    "waiting": ("waiting for objects that are not here", "waits for"),
    "settled": ("found what they waited for", "found"),
}
TONES = {"altered": "wait", "revoked": "bad", "gone": "wait", "waiting": "wait"}
_SHOWN = 12


def chips_of(about: Any, values: dict[str, Any]) -> list[tuple[str, str]]:
    """What one should see at once: a marking no field tells, and that a source no longer has it."""
    found = [] if values.get("tlp") else [(m.says, "") for m in about.markings if m.says.startswith("TLP:") and not m.selectors]  # fmt: skip
    if about.gone_from:
        found.append(("no longer in its source", "wait"))
    if about.waits_for:
        found.append((f"waits for {words.count(len(about.waits_for), 'object')}", "wait"))
    return found


def about_panel(about: Any) -> None:
    """Markings, other languages, where it is gone from and what it waits for; nothing where there is none."""
    facts = [*_marked(about), *_gone(about), *_waits(about), *_translated(about)]
    if not facts:
        return
    told = "".join(
        f'<span class="k">{escape(name)}</span><span class="v">{fact}</span>' for name, fact in facts
    )
    with frame.panel("About it", key="about"):
        st.html(f'<div class="sp-facts">{told}</div>')


def _marked(about: Any) -> list[tuple[str, str]]:
    found = []
    for marking in about.markings:
        says = marking.says or (
            f"language {marking.lang}" if marking.lang else f"{marking.ref}, which is not here"
        )
        parts = f" for {', '.join(marking.selectors)}" if marking.selectors else ""
        found.append(("Marked", f"{escape(says)}{escape(parts)}"))
    return found


def _gone(about: Any) -> list[tuple[str, str]]:
    return [
        (
            "Gone",
            f"no longer in {escape(each.payload)} since {frame.link(f'run {each.run}', 'runs', run=each.run)}"
            + (f", {words.ago(each.at)}" if each.at else "")
            + ". It is kept here.",
        )
        for each in about.gone_from
    ]


def _waits(about: Any) -> list[tuple[str, str]]:
    shown = [("Waits for", f"<code>{escape(ref)}</code>") for ref in about.waits_for[:_SHOWN]]
    more = len(about.waits_for) - len(shown)
    return [*shown, *([("", f"and {more:,} more")] if more else [])]


def _translated(about: Any) -> list[tuple[str, str]]:
    return [
        (f"Text in {each.lang}" if not at else "", f"{escape(name)}: {escape(text_of(value)[:600])}")
        for each in about.translations
        for at, (name, value) in enumerate(each.fields.items())
    ]


def changed_panel(told: Any) -> None:
    """What a run did to objects that its ledger does not tell; nothing where it did none of it."""
    if not told.changes:
        return
    counted = ", ".join(f"{change.count:,} {SAID[change.kind][0]}" for change in told.changes)
    rows = [
        Row(
            f"{one.target}/{one.key}/{change.kind}-{place}",
            [
                cell(one.name or one.id, sub=one.id, hint=one.id),
                cell(SAID[change.kind][1], sub=one.about, tone=TONES.get(change.kind, ""), wrap=True),
                cell(one.target.replace("-", " "), tone="muted"),
            ],
            href=access.address("explorer", target=one.target, record=one.key),
        )
        for change in told.changes
        for place, one in enumerate(change.records)
    ]
    with frame.panel("Objects", counted, key="objects", flush=True):
        heads = [Column("Record"), Column("What happened"), Column("Kind")]
        _follow(listing("Objects", heads, rows, key="object-list", height=260, widest=320))


def _follow(chosen: Any) -> None:
    """Go to the record just chosen; a row's name begins with its target model and key."""
    target, _, rest = chosen.opened.partition("/")
    if rest:
        frame.go("explorer", target=target, record=rest.partition("/")[0])


def waiting_panel(page: Any) -> None:
    """Ids that records name and that are not here yet; nothing where nothing waits."""
    if not page.total:
        return
    rows = []
    for each in page.ids:
        first = each.first[0] if each.first else None
        href = access.address("explorer", target=first.target, record=first.key) if first else ""
        named = cell(each.ref, hint=f"{each.ref}, named by {first.name or first.id}" if first else each.ref)
        to = f"{first.target}/{first.key}/{each.ref}" if first else each.ref
        rows.append(Row(to, [named, figure(each.records)], href=href, go=bool(href)))
    with frame.panel(
        "Not here yet", f"{words.count(page.records, 'record')} waiting", key="waiting", flush=True
    ):
        heads = [Column("Id"), Column("Named by", right=True)]
        _follow(listing("Ids that are waited for", heads, rows, key="waiting-list", height=190, widest=134))
