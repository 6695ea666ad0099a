"""A person's own SQL: the editor, the queries kept, and the answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import streamlit as st

from app.client import Client
from app.roles import Permission
from app.widgets import access, frame, words
from app.widgets.answer import answer
from app.widgets.listing import Column, Row, cell, figure, listing
from app.widgets.query import FIRST, editor, fresh


def example(table: str) -> str:
    """What one may begin with."""
    return f'SELECT *\nFROM "{table}"\nLIMIT 100'


def sql(client: Client, target: str) -> None:
    """One SELECT, read-only, in the tenant's own locked-down store."""
    state = st.session_state
    history = client.query_history()
    if state.get("sql-tenant") != access.tenant():
        # Nothing of one tenant is there in another.
        state["sql-tenant"], state["sql-result"], state["sql-problem"] = access.tenant(), None, None
        state["sql-rev"], state["sql-text"] = FIRST, history[0].sql if history else example(target)
    left, right = st.columns([16, 7], gap="small")
    with left:
        problem = state.get("sql-problem")
        ask = editor(
            state["sql-text"], client.tables(), revision=state["sql-rev"], answered=state.get("sql-answered", 0),
            position=getattr(problem, "position", None), key="sql-editor",
        )  # fmt: skip
        if problem is not None:
            frame.notice(problem)
    with right:
        kept_queries(client, history)
    if ask is not None:
        state["sql-result"] = access.attempt(client.query, ask.sql, 1000, name=ask.name, keep=True)
        state["sql-problem"] = state.pop("problem", None)
        state["sql-text"], state["sql-answered"] = ask.sql, state.get("sql-answered", 0) + 1
        st.rerun()
    if state.get("sql-result") is not None:
        answer(state["sql-result"])


def kept_queries(client: Client, history: list[Any]) -> None:
    tabs = st.segmented_control(
        "Queries",
        ["Saved", "History", "Tables"],
        default="Saved",
        label_visibility="collapsed",
        key="sql-kept",
    )
    if tabs == "History":
        rows = [
            Row(f"h{q.id}", [cell(" ".join(q.sql.split())[:200], hint=q.sql, sub=f"{words.ago(q.at)}, {asked_words(q)}")])
            for q in history
        ]  # fmt: skip
        chosen = listing(
            "History", [Column()], rows, key="sql-history", height=190, none="Nothing asked yet.", widest=330
        )
        texts = {f"h{q.id}": q.sql for q in history}
    elif tabs == "Tables":
        tables = client.tables()
        rows = [
            Row(f"t{t.name}", [cell(t.name, sub=words.count(len(t.columns), "column")), figure(t.rows)])
            for t in tables
        ]
        chosen = listing(
            "Tables", [Column(), Column(right=True)], rows, key="sql-tables", height=190, widest=240
        )
        texts = {f"t{t.name}": example(t.name) for t in tables}
    else:
        saved = client.saved_queries()
        rows = [
            Row(f"s{q.id}", [cell(q.name, sub=f"{q.author}, {words.ago(q.at)}", hint=q.sql), cell("Delete", act="delete")])
            for q in saved
        ]  # fmt: skip
        if not access.may(Permission.WORK):
            rows = [replace(row, cells=[row.cells[0], cell()]) for row in rows]
        chosen = listing(
            "Saved queries", [Column(), Column(right=True)], rows, key="sql-saved", height=150, widest=240,
            none="No query is saved yet. Saved ones are there for everybody in the tenant.",
        )  # fmt: skip
        texts = {f"s{q.id}": q.sql for q in saved}
        if chosen.act == "delete":
            access.attempt(client.delete_query, chosen.row[1:])
            st.rerun()
        saving(client)
    if chosen.opened in texts:
        st.session_state["sql-text"], st.session_state["sql-rev"] = texts[chosen.opened], fresh()
        st.session_state["sql-problem"] = None
        st.rerun()


def asked_words(query: Any) -> str:
    if query.outcome != "done":
        return str(query.outcome)
    return f"{words.count(query.rows or 0, 'row')} in {query.seconds:.2f} s"


def saving(client: Client) -> None:
    """What was last asked, under a name, for everybody in the tenant."""
    last = st.session_state.get("sql-text", "") if st.session_state.get("sql-answered") else ""
    off = access.why_not(Permission.WORK) or (None if last else "Run a query first; what you ran is saved.")
    with (
        st.popover("Save the query last run", disabled=off is not None, help=off),
        st.form("save-query", border=False),
    ):
        name = st.text_input("Name", max_chars=120)
        if st.form_submit_button("Save", type="primary") and name.strip():
            access.attempt(client.save_query, name.strip(), last)
            st.rerun()
