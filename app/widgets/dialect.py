"""How a payload is read: its first raw lines with what each was taken for, and every part of it to change."""

from __future__ import annotations

import re
from html import escape
from typing import Any

import streamlit as st

from app.client import Client
from app.roles import Permission
from app.widgets import access, frame, words

DELIMITERS = {
    ",": "Comma  ,", ";": "Semicolon  ;", "\t": "Tab", "|": "Bar  |", " ": "Space", ":": "Colon  :", "": "None",
}  # fmt: skip
QUOTES = {'"': 'Double  "', "'": "Single  '", "": "None"}
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "windows-1252", "iso-8859-1", "shift_jis", "gb18030", "koi8-r"]
# So many places in a document are seen at once.
FEW = 8
MARKS = {
    "header": "header", "comment": "comment", "blank": "blank", "skipped": "skipped", "rejected": "rejected",
    "continued": "goes on", "unaccounted": "lost", "row": "",
}  # fmt: skip


# Marks that turn the order of the letters around them, or are not seen: what they hide has to show.
HIDDEN = re.compile(r"[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


def spelt(text: str) -> str:
    """HTML of a raw text, with marks nobody sees spelled out, so that it reads in the order it is stored."""
    return HIDDEN.sub(lambda mark: f"<mark>U+{ord(mark[0]):04X}</mark>", escape(text))


def raw_lines(account: Any) -> None:
    """The first physical lines as they stand, each marked with what it was read as."""
    lines = "".join(
        f'<div class="k-{line.read_as}"><i>{line.line}</i><em>{MARKS[line.read_as]}</em>{spelt(line.text) or " "}</div>'
        for line in account.first
    )
    st.html(
        f'<div class="sp-raw marked" tabindex="0" role="region" aria-label="First lines as they stand">{lines}</div>'
    )


def dialect_form(client: Client, source: Any, version: int) -> None:
    """Each part of the dialect; a change is read at once, and the fields and rows follow."""
    dialect, mine = source.shape.dialect, f"dialect-{source.id}-"
    known = {
        "delimiter": dialect.delimiter, "quote": dialect.quote, "encoding": dialect.encoding, "escape": dialect.escape,
        "skip": dialect.skip_lines, "comment": dialect.comment, "header": dialect.header,
    }  # fmt: skip
    _follow(mine, known, version)
    off = access.why_not(Permission.WORK)
    how: dict[str, Any] = {
        "disabled": off is not None, "help": off, "on_change": _read_so, "args": (client, source, mine),
    }  # fmt: skip
    one, two, three = st.columns(3, gap="small")
    one.selectbox(
        "Delimiter", _with(DELIMITERS, dialect.delimiter), key=f"{mine}delimiter",
        format_func=lambda d: DELIMITERS.get(d, repr(d)), **how,
    )  # fmt: skip
    two.selectbox(
        "Quote",
        _with(QUOTES, dialect.quote),
        key=f"{mine}quote",
        format_func=lambda q: QUOTES.get(q, q),
        **how,
    )
    three.text_input("Escape", key=f"{mine}escape", max_chars=1, placeholder="none", **how)
    one.selectbox("Encoding", _with(ENCODINGS, dialect.encoding), key=f"{mine}encoding", **how)
    two.text_input("Comment sign", key=f"{mine}comment", placeholder="none", **how)
    three.number_input("Lines to skip", key=f"{mine}skip", min_value=0, step=1, **how)
    st.checkbox("First row names the fields", key=f"{mine}header", **how)


def _with(known: Any, value: str) -> list[str]:
    return [*known, *([value] if value not in known else [])]


def _follow(mine: str, known: dict[str, Any], version: int) -> None:
    """Let the inputs show what is so, unless they themselves have just said it: then focus and text stay."""
    if st.session_state.get(f"{mine}version") != version:
        st.session_state.update({f"{mine}{name}": value for name, value in known.items()})
        st.session_state[f"{mine}version"] = version


def _read_so(client: Client, source: Any, mine: str) -> None:
    state = st.session_state
    changed = {
        "delimiter": state[f"{mine}delimiter"], "quote": state[f"{mine}quote"], "encoding": state[f"{mine}encoding"],
        "escape": state[f"{mine}escape"], "skip_lines": int(state[f"{mine}skip"] or 0),
        "comment": state[f"{mine}comment"].strip(), "header": state[f"{mine}header"],
        "first_lines": list(source.shape.dialect.first_lines),
    }  # fmt: skip
    done = access.attempt(client.change_source, source.id, dialect=changed, based_on=state[f"{mine}version"])
    state[f"{mine}version"] = done.version if done else 0


def options_form(client: Client, source: Any, version: int) -> None:
    """What else of the payload could be read: its sheets, places of records, files and types, each to choose."""
    outline = client.source_outline(source.id)
    off = access.why_not(Permission.WORK)
    if len(outline.members) > 1:
        _members(client, source, version, outline, off)
    if outline.sheets:
        _sheets(client, source, version, outline, off)
    if outline.places:
        _places(client, source, version, outline, off)
    if outline.types:
        _types(client, source, version, outline, off)


def _apply(client: Client, source: Any, version: int, key: str, name: str) -> None:
    """Take over the option an input holds."""
    access.attempt(client.change_source, source.id, options={name: st.session_state[key]}, based_on=version)


def _members(client: Client, source: Any, version: int, outline: Any, off: str | None) -> None:
    key = f"members-{source.id}-{version}"
    sizes = {part.name: part.size for part in outline.members}
    chosen = [part.name for part in outline.members if part.chosen]
    st.multiselect(
        f"Files of the archive, {words.count(len(sizes), 'file')}", list(sizes), default=chosen, key=key,
        format_func=lambda n: f"{n}  ({words.size(sizes[n])})", disabled=off is not None, help=off,
        on_change=_apply, args=(client, source, version, key, "members"),
    )  # fmt: skip


def _sheets(client: Client, source: Any, version: int, outline: Any, off: str | None) -> None:
    one, two = st.columns([3, 2], gap="small")
    names, sizes = [p.name for p in outline.sheets], {p.name: p.size for p in outline.sheets}
    at = next((i for i, p in enumerate(outline.sheets) if p.chosen), 0)
    key = f"sheet-{source.id}-{version}"
    one.selectbox(
        "Sheet", names, index=at, key=key, format_func=lambda n: f"{n}  ({words.count(sizes[n], 'cell')})",
        disabled=off is not None, help=off, on_change=_apply, args=(client, source, version, key, "sheet"),
    )  # fmt: skip
    key = f"header-{source.id}-{version}"
    rows = {0: "No header", **{n: f"Row {n}" for n in range(1, len(outline.first_rows) + 1)}}
    if outline.header_row not in rows:
        rows[outline.header_row] = f"Row {outline.header_row}"
    two.selectbox(
        "Header", list(rows), index=list(rows).index(outline.header_row), key=key, format_func=rows.__getitem__,
        disabled=off is not None, help=off, on_change=_apply, args=(client, source, version, key, "header_row"),
    )  # fmt: skip
    shown = ""
    for number, row in enumerate(outline.first_rows, 1):
        kind = (
            "header" if number == outline.header_row else "skipped" if number < outline.header_row else "row"
        )
        cells = "".join(f"<span>{escape(value)}</span>" for value in row)
        shown += f'<div class="k-{kind}"><i>{number}</i><em>{MARKS[kind]}</em>{cells}</div>'
    st.html(
        f'<div class="sp-raw marked cells" tabindex="0" role="region" aria-label="First rows of the sheet">{shown}</div>'
    )


def _places(client: Client, source: Any, version: int, outline: Any, off: str | None) -> None:
    """An outline of the document; the place whose entries are rows is chosen in it."""
    # The chosen one stands first, so that it is in sight however many there are.
    ordered = sorted(outline.places, key=lambda place: not place.chosen)
    places = {tuple(p.path) if p.path is not None else None: p for p in ordered}
    now = next((path for path, place in places.items() if place.chosen), None)
    joint = "/" if source.shape.format == "xml" else "."
    key = f"places-{source.id}-{version}"

    def told(path: Any) -> str:
        place = places[path]
        name = (
            "the document itself" if path is None else "the outermost list" if not path else joint.join(path)
        )
        counted = f"{place.count:,}{'+' if outline.cut else ''}" if place.count else ""
        inside = f": {', '.join(_short(name) for name in place.fields[:5])}" if place.fields else ""
        return f"{name}  ({counted}{inside})" if counted else name

    # A long outline scrolls; a short one takes no more room than it needs.
    with st.container(height=212 if len(places) > FEW else "content", border=False):
        st.radio(
            "Where the records are", list(places), index=list(places).index(now) if now in places else None, key=key,
            format_func=told, disabled=off is not None, help=off,
            on_change=lambda: access.attempt(
                client.change_source, source.id, based_on=version,
                options={"record_path": None if st.session_state[key] is None else list(st.session_state[key])},
            ),
        )  # fmt: skip


def _short(name: str) -> str:
    return name if len(name) <= 24 else f"{name[:23]}…"


def _types(client: Client, source: Any, version: int, outline: Any, off: str | None) -> None:
    counts = {each.type: each.count for each in outline.types}
    key = f"types-{source.id}-{version}"
    st.pills(
        f"Types that are read, counted on {outline.extent}", list(counts), selection_mode="multi",
        default=[each.type for each in outline.types if each.chosen], key=key,
        format_func=lambda t: f"{t}  {counts[t]:,}", disabled=off is not None, help=off,
        on_change=lambda: access.attempt(
            client.change_source, source.id, based_on=version,
            options={"types": [] if set(st.session_state[key]) >= set(counts) else st.session_state[key]},
        ),
    )  # fmt: skip
    whole = f"whole-{source.id}-{version}"
    st.checkbox(
        "Every reading holds all there is", bool(source.shape.options.get("complete")), key=whole,
        disabled=off is not None,
        help=off or "Then objects that a later reading no longer holds are shown as gone. They are kept.",
        on_change=lambda: access.attempt(
            client.change_source, source.id, based_on=version, options={"complete": st.session_state[whole]}
        ),
    )  # fmt: skip


def sums(preview: Any) -> None:
    """How the lines add up: in one line where all is well, loud where it isn't."""
    account = preview.account
    if account is None:
        total, lost = preview.read, preview.read - preview.parsed - preview.rejected
        one, many, whole = "entry", "entries", preview.whole
        parts = [("row" if preview.parsed == 1 else "rows", preview.parsed), ("rejected", preview.rejected)]
    else:
        total, lost = account.lines, account.unaccounted
        one, many, whole = "line", "lines", account.whole
        parts = [
            ("row" if account.rows == 1 else "rows", account.rows), ("rejected", account.rejected), ("in rows that go on", account.continued),
            ("header", account.header), ("blank or comments", account.blank + account.comments),
            ("skipped", account.skipped),
        ]  # fmt: skip
    sum_of = " + ".join(f"{n:,} {name}" for name, n in parts if n or name == "rows")
    told = f"{words.count(total, one, many)} = {sum_of}" + (
        "" if whole else " in the part that was looked at"
    )
    if lost:
        frame.warn(
            f"<b>The {many} don't add up: {escape(told)}, and {lost:,} nobody accounts for.</b> "
            "Change how it is read before you run it.", tone="bad",
        )  # fmt: skip
    elif preview.rejected:
        frame.warn(
            f"<b>{words.count(preview.rejected, one, many)} can't be read as rows.</b> {escape(told)}. "
            "They will wait in quarantine with their bytes; if these are many, change how it is read."
        )
    else:
        st.html(f'<p class="sp-sum m s" role="status">{escape(told)}.</p>')


def offending(preview: Any) -> None:
    """The lines that are no rows, each with why."""
    reasons = {fault.line: fault.reason for fault in preview.faults}
    if preview.account is None:
        odd = [(fault.line, fault.raw, fault.reason) for fault in preview.faults]
    else:
        odd = [
            (line.line, line.text, reasons.get(line.line, "nothing accounts for it"))
            for line in preview.account.odd
        ]
    if not odd:
        return
    rows = "".join(
        f"<tr><td class='n'>{line:,}</td><td class='raw'>{spelt(text[:400])}</td><td class='bt'>{escape(why)}</td></tr>"
        for line, text, why in odd
    )
    many = preview.rejected + (preview.account.unaccounted if preview.account else 0)
    shown = f", the first {len(odd)}" if many > len(odd) else ""
    told = "The line" if many == 1 else f"The {many:,} lines"
    with st.expander(f"{told} that can't be read{shown}"):
        st.html(
            f'<div class="sp-odd" tabindex="0" role="region" aria-label="Lines that can\'t be read"><table><thead><tr>'
            f"<th class='n'>Line</th><th>As it stands</th><th>Why</th></tr></thead><tbody>{rows}</tbody></table></div>"
        )
