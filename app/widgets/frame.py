"""The frame every page shares: its look, its head, its panels, and how it says what went wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.widgets.access import address, attempt, tenant
from app.widgets.current import watch
from app.widgets.help import help
from app.widgets.theme import keep_theme
from engine.errors import SpireError

APP = Path(__file__).resolve().parent.parent
PAGES = APP.parent / "pages"


@lru_cache(maxsize=1)
def _style() -> str:
    tokens, own = APP / "static" / "tokens.css", APP / "widgets" / "style.css"
    # A comment that names a tag makes the browser's sanitiser drop the whole style.
    css = re.sub(r"/\*.*?\*/", "", tokens.read_text() + own.read_text(), flags=re.DOTALL)
    mark = quote((APP / "static" / "mark.svg").read_text())
    return f"<style>{css}:root {{ --mark: url('data:image/svg+xml,{mark}'); }}</style>"


def draw(page: Callable[[], None]) -> None:
    """Draw a page. What stands in its way is told with what to do next, and never as a trace."""
    st.html(_style())
    with st.container(key="lead-back-place"):
        watch()
        help(Path(page.__code__.co_filename).stem)
        keep_theme()
    if not tenant():
        head("No tenant yet", "You belong to no tenant. Ask an administrator for a role in one.")
        return
    st.session_state["headed"] = False
    try:
        page()
    except SpireError as problem:
        if not st.session_state.pop("headed", False):
            head("This can't be shown", "Go on from the pages at the left.")
        notice(problem)


def head(
    title: str, subtitle: str = "", *, crumb: str = "", chips: Iterable[tuple[str, str]] = ()
) -> DeltaGenerator:
    """Where am I, and is it all right; gives the place for the page's buttons. Subtitle and crumb are HTML."""
    marks = "".join(f'<span class="chip {tone}">{escape(text)}</span>' for text, tone in chips)
    above = f'<div class="crumb">{crumb}</div>' if crumb else ""
    row = st.container(horizontal=True, vertical_alignment="bottom", key="page-head")
    row.html(
        f'<div class="sp-head">{above}<div class="line"><h1 title="{escape(title)}">{escape(title)}</h1>{marks}</div>'
        f'<div class="sub">{subtitle}</div></div>',
    )
    st.session_state["headed"] = True
    problem = st.session_state.pop("problem", None)
    if problem is not None:
        notice(problem)
    told = st.session_state.pop("told", "")
    if told:
        st.html(f'<div class="sp-notice ok" role="status">{escape(told)}</div>')
    return row


def notice(problem: SpireError) -> None:
    """What happened, where, and what to do."""
    detail = getattr(problem, "detail", "")
    parts = [f"<b>{escape(problem.title)}</b>"]
    named = problem.where and detail and problem.where[-1] not in ".:;"
    where = f"{problem.where}:" if named else problem.where
    parts += [escape(text) for text in (where, detail) if text]
    after = f"<br>{escape(problem.action)}" if problem.action else ""
    st.html(f'<div class="sp-notice" role="alert">{" ".join(parts)}{after}</div>')


def refused() -> bool:
    """Whether something stood in the way of what was just tried; if so, it is told here, where that was done."""
    problem = st.session_state.pop("problem", None)
    if problem is not None:
        notice(problem)
    return problem is not None


def warn(html: str, tone: str = "wait") -> None:
    """A banner that needs a person; with the tone `bad` it says that something is wrong."""
    st.html(f'<div class="sp-notice {tone}" role="status">{html}</div>')


def tell(text: str) -> None:
    """Say something good at the head of the next page drawn."""
    st.session_state["told"] = text


def panel(
    title: str = "", note: str = "", *, key: str, flush: bool = False, more: str = ""
) -> DeltaGenerator:
    """A panel. `flush` ones hold a list from edge to edge; `more` is HTML of a link at the right of its head."""
    box = st.container(border=True, key=f"{'flush' if flush else 'panel'}-{key}")
    if title:
        box.html(heading(title, note, more))
    return box


def heading(title: str, note: str = "", more: str = "") -> str:
    """HTML of a panel's head; `more` is HTML of a link at its right."""
    second = f'<span class="s m">{escape(note)}</span>' if note else ""
    beside = f'<span class="more">{more}</span>' if more else ""
    return f'<div class="sp-title">{beside}<span role="heading" aria-level="2">{escape(title)}{second}</span></div>'


def link(text: object, page: str, **params: object) -> str:
    """HTML of a link to another page."""
    return f'<a href="{escape(address(page, **params))}" target="_self">{escape(str(text))}</a>'


def go(page: str, **params: object) -> NoReturn:
    """Open another page of the app."""
    given = {name: str(value) for name, value in params.items() if value is not None}
    st.switch_page(PAGES / f"{page}.py", query_params=given)


def act(
    label: str,
    action: Callable[..., object],
    *args: object,
    off: str | None = None,
    help: str | None = None,
    **options: object,
) -> None:
    """A button whose action may be refused. `off` is why it can't be pressed, `help` what it does."""
    st.button(
        label, on_click=lambda: attempt(action, *args), disabled=off is not None, help=off or help, **options,  # type: ignore[arg-type]
    )  # fmt: skip


def asked(name: str) -> str:
    """A parameter of the address."""
    return st.query_params.get(name, "")
