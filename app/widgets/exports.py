"""Exports of records: the format is chosen, what will and won't be in the file is said, the browser fetches it."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from app.widgets import access, frame, words
from app.widgets.publishing import begin
from app.widgets.view import View, export_address

FORMATS = {
    "csv": "CSV",
    "ndjson": "NDJSON",
    "parquet": "Parquet",
    "stix": "STIX 2.1 bundle",
    "misp": "MISP events",
    "json": "JSON",
}


@st.dialog("Export records")
def exporting(view: View, title: str) -> None:
    """What the file will hold, and a link the browser follows by itself: it streams past this page."""
    format = st.radio("Format", list(FORMATS), format_func=lambda f: FORMATS[f], key="export-format")
    every = format in ("stix", "misp") and st.checkbox("All target models in one file", key="export-all")
    target = "all" if every else view.target
    filters = {"run": view.run} if every else view.filters()
    found = access.attempt(access.client().export_manifest, target, format, **filters)
    if found is None:
        frame.notice(st.session_state.pop("problem"))
        return
    of = "every target model" if every else title
    narrowed = "" if every or not (view.search or view.where or view.run) else " under the filters in force"
    st.html(f"<b>{words.count(found.exported, 'record')}</b> of {of}{narrowed}, latest versions.")
    if found.left_out:
        reasons = "<br>".join(f"{one.count:,} {one.reason}" for one in found.left_out)
        left = sum(one.count for one in found.left_out)
        frame.warn(f"<b>{words.count(left, 'record')} left out.</b><br>{reasons}")
    if found.note:
        st.caption(found.note)
    st.link_button(
        f"Download {FORMATS[format]}", export_address(replace(view, where=(), search="") if every else view, target, format),
        type="primary", disabled=not found.exported, width="stretch",
    )  # fmt: skip
    if st.button(
        "Publish to another system", width="stretch",
        help="A database, a TAXII collection or a MISP instance that is kept up to date from here.",
    ):  # fmt: skip
        begin(view)
