"""How a text table is written: its first raw lines, and a form to read it another way."""

from __future__ import annotations

from html import escape
from typing import Any

import streamlit as st

from app.client import Client
from app.roles import Permission
from app.widgets import access, frame

DELIMITERS = {",": "Comma  ,", ";": "Semicolon  ;", "\t": "Tab", "|": "Bar  |", " ": "Space"}
QUOTES = {'"': 'Double  "', "'": "Single  '", "": "None"}
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "windows-1252", "iso-8859-1", "shift_jis", "gb18030", "koi8-r"]


def raw_lines(lines: list[str], dialect: Any) -> None:
    """The first physical lines as they stand; those the dialect leaves out are grey."""
    if not lines:
        return
    skipped = dialect.skip_lines if dialect else 0
    comment = dialect.comment if dialect else ""
    shown = ""
    for number, line in enumerate(lines, 1):
        left_out = number <= skipped or (comment and line.startswith(comment))
        shown += f'<div class="{"out" if left_out else ""}"><i>{number}</i>{escape(line.rstrip())}</div>'
    st.html(
        f'<div class="sp-raw" tabindex="0" role="region" aria-label="First lines as they stand">{shown}</div>'
    )


def dialect_form(client: Client, source: Any, version: int) -> None:
    """Change how the table is read; what follows from it is read anew."""
    dialect = source.shape.dialect
    off = access.why_not(Permission.WORK)
    with st.form(f"dialect-{source.id}-{version}", border=False):
        one, two, three, four = st.columns(4, gap="small")
        known = [dialect.delimiter] if dialect.delimiter not in DELIMITERS else []
        delimiters, quotes = (
            [*DELIMITERS, *known],
            [*QUOTES, *([dialect.quote] if dialect.quote not in QUOTES else [])],
        )
        encodings = [*ENCODINGS, *([dialect.encoding] if dialect.encoding not in ENCODINGS else [])]
        delimiter = one.selectbox(
            "Delimiter", delimiters, index=delimiters.index(dialect.delimiter),
            format_func=lambda d: DELIMITERS.get(d, repr(d)),
        )  # fmt: skip
        quote = two.selectbox(
            "Quote", quotes, index=quotes.index(dialect.quote), format_func=lambda q: QUOTES.get(q, q)
        )
        encoding = three.selectbox("Encoding", encodings, index=encodings.index(dialect.encoding))
        escaped = four.text_input("Escape", value=dialect.escape, max_chars=1, placeholder="none")
        one, two, three, four = st.columns(4, gap="small", vertical_alignment="bottom")
        skip = one.number_input("Lines to skip", value=dialect.skip_lines, min_value=0, step=1)
        comment = two.text_input("Comment sign", value=dialect.comment, placeholder="none")
        header = three.checkbox("First row names the fields", value=dialect.header)
        again = four.form_submit_button("Read it so", disabled=off is not None, help=off)
    if again:
        changed = {
            "delimiter": delimiter, "quote": quote, "encoding": encoding, "escape": escaped, "skip_lines": int(skip),
            "comment": comment, "header": header, "first_lines": list(dialect.first_lines),
        }  # fmt: skip
        client.change_source(source.id, dialect=changed, based_on=version)
        frame.tell("The source is read another way now; its fields were found anew.")
        st.rerun()


def options_form(client: Client, source: Any, version: int) -> None:
    """Options of formats that are no text tables: the sheet, the record path."""
    options = source.shape.options
    if not {"sheet", "record_path"} & options.keys():
        return
    off = access.why_not(Permission.WORK)
    with st.form(f"options-{source.id}-{version}", border=False):
        changed: dict[str, Any] = {}
        if "sheet" in options:
            sheets = list(options.get("sheets") or [options["sheet"]])
            changed["sheet"] = st.selectbox("Sheet", sheets, index=sheets.index(options["sheet"]))
        if "record_path" in options:
            before = "/".join(options["record_path"] or [])
            typed = st.text_input(
                "Where the records are",
                value=before,
                placeholder="the document itself",
                help="Names from the outermost in, with a slash between them.",
            )
            if typed != before:
                changed["record_path"] = [name.strip() for name in typed.split("/") if name.strip()]
        if st.form_submit_button("Read it so", disabled=off is not None, help=off):
            client.change_source(source.id, options=changed, based_on=version)
            frame.tell("The source is read another way now; its fields were found anew.")
            st.rerun()
