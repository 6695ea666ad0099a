"""A source of any connector, or a well-known feed: chosen from a list, filled in, tried, and only then kept."""

from __future__ import annotations

from html import escape
from typing import Any

import streamlit as st

from app.client import Client
from app.roles import Permission
from app.widgets import access, answer_tree, browse, frame
from app.widgets.form import form, missing
from app.widgets.listing import Column, Row, cell, listing
from app.widgets.reveal import reveal

# These have a way in of their own: a drop zone, a text box, a list of samples.
ELSEWHERE = ("upload", "paste", "sample")
# Interfaces whose answer shows where the records stand.
ANSWERING = ("rest",)


def offers(client: Client) -> None:
    """The kinds of server and the feeds on offer; each leads to its own form."""
    frame.head(
        "Connect a server or a feed",
        "What you fill in is encrypted with the rest of this tenant, and secrets are never shown again.",
        crumb=frame.link("Sources", "sources"),
    )
    connectors = [c for c in client.connectors() if c.name not in ELSEWHERE]
    kinds = sorted(
        ((c.name, c.title, c.summary) for c in connectors), key=lambda offered: offered[1].casefold()
    )
    feeds = [
        (f"feed:{f.name}", f.title, f.summary + ("; asks for a key" if f.key else "")) for f in client.feeds()
    ]
    left, right = st.columns(2, gap="small")
    with left:
        _list("Servers", "databases, interfaces, folders", kinds)
    with right:
        _list("Well-known feeds", "with their settings filled in", feeds)


def _list(title: str, note: str, offered: list[tuple[str, str, str]]) -> None:
    rows = [
        Row(name, [cell(called, sub=summary, wrap=True)], href=access.address("sources", new=name))
        for name, called, summary in offered
    ]
    key = title.split(maxsplit=1)[0].lower()
    with frame.panel(title, note, key=f"offers-{key}", flush=True):
        chosen = listing(title, [Column()], rows, key=f"offer-{key}")
    if chosen.opened:
        frame.go("sources", new=chosen.opened)


def connecting(client: Client, kind: str) -> None:
    """The form of one connector or feed: try the connection, then add the source."""
    feed = next((f for f in client.feeds() if f"feed:{f.name}" == kind), None)
    wanted = feed.connector if feed else kind
    connector = next((c for c in client.connectors() if c.name == wanted), None)
    crumb = frame.link("Sources", "sources")
    if connector is None:
        frame.head("No such connector", "Choose one from the list of sources.", crumb=crumb)
        return
    named = feed or connector
    actions = frame.head(named.title, escape(named.summary), crumb=crumb)
    if feed and feed.own:
        unbuilt = access.why_not(Permission.BUILD)
        if actions.button("Delete the template", disabled=unbuilt is not None, help=unbuilt):
            client.delete_feed(feed.name)
            frame.go("sources", new="any")
    if feed and feed.key:
        frame.warn(f"<b>It asks for a key.</b> You find it here: {escape(feed.key)}. Put it into “Secret”.")
    given = feed.config if feed else {}
    # Of a feed that is described already only the key is missing.
    shown = None if feed is None or feed.own else ["secret"] if feed.key else []
    off = access.why_not(Permission.WORK)
    # A form sends all it holds with the press of a button, so no key struck just before is lost.
    with frame.panel(key="connector"), st.form(f"connect-{kind}", border=False):
        title = st.text_input("Name", value=feed.title if feed else "", placeholder=connector.title)
        config: dict[str, Any] = form(
            connector.config, given, key=kind, columns=2, shown=shown,
            credentials={each.id: each.name for each in client.credentials()},
        )  # fmt: skip
        row = st.container(horizontal=True, gap="small")
        looking = connector.browse and row.form_submit_button(
            "Look what is there", disabled=off is not None, help=off or "Choose instead of typing."
        )
        asking = kind in ANSWERING and row.form_submit_button(
            "Look at an answer", disabled=off is not None, help=off or "Find out where the records stand."
        )
        trying = row.form_submit_button("Try the connection", disabled=off is not None, help=off)
        adding = row.form_submit_button("Add the source", type="primary", disabled=off is not None, help=off)
        unkept = access.why_not(Permission.BUILD)
        keeping = row.form_submit_button(
            "Keep as a template",
            disabled=unkept is not None,
            help=unkept or "Stands among the feeds from then on, without its secrets.",
        )
    lacking = missing(connector.config, config)
    if (asking or trying or adding or keeping) and lacking:
        frame.warn(f"<b>Something is missing.</b> Fill in: {', '.join(lacking)}.")
        reveal(f"reveal-{kind}")
        return
    if looking:
        browse.look(client, connector.name, config, kind)
    if asking:
        answer_tree.look(client, connector.name, config, kind)
    if keeping:
        called = title or connector.title
        kept = access.attempt(client.keep_feed, title=called, connector=connector.name, config=config)
        if kept is not None:
            frame.warn(
                f"<b>{escape(called)} is kept as a template.</b> You find it among the feeds.", tone="ok"
            )
    if trying:
        with st.spinner("Trying each stage"):
            found = access.attempt(client.check_connection, connector.name, config)
        st.session_state[f"tried-{kind}"] = found
    if adding:
        with st.spinner("Reading the first payload"):
            made = access.attempt(
                client.create_source, connector=connector.name, config=config, name=title or connector.title
            )
        if made is not None:
            frame.go("sources", source=made.source.id)
    problem = st.session_state.pop("problem", None)
    if problem is not None:
        frame.notice(problem)
    browse.offer(kind)
    answer_tree.offer(kind)
    tried = st.session_state.get(f"tried-{kind}")
    if tried is not None:
        stages(tried, kind)
    if looking or asking or trying or adding or keeping:
        reveal(f"reveal-{kind}")


def changing(client: Client, id: str) -> None:
    """The connection of a source as it is, to be changed: what is saved is read at once, or nothing is saved."""
    view = client.source(id)
    source = view.source
    connector = next(c for c in client.connectors() if c.name == source.connector)
    crumb = f"{frame.link('Sources', 'sources')} / {frame.link(source.name, 'sources', source=id)}"
    told = "Saving reads the first payload with it. Where that fails, nothing is changed."
    frame.head("Change the connection", f"{escape(connector.title)}. {told}", crumb=crumb)
    off = access.why_not(Permission.WORK)
    with frame.panel(key="connector"), st.form(f"change-{id}", border=False):
        title = st.text_input("Name", value=source.name)
        config: dict[str, Any] = form(
            connector.config, dict(source.config), key=f"change-{id}-{view.version}", columns=2,
            credentials={each.id: each.name for each in client.credentials()},
        )  # fmt: skip
        row = st.container(horizontal=True, gap="small")
        trying = row.form_submit_button(
            "Try the connection",
            disabled=off is not None,
            help=off or "With what is filled in here. Nothing is kept.",
        )
        saving = row.form_submit_button("Save", type="primary", disabled=off is not None, help=off)
    if not (trying or saving):
        return
    lacking = missing(connector.config, config) + ([] if title.strip() else ["Name"])
    if lacking:
        frame.warn(f"<b>Something is missing.</b> Fill in: {', '.join(lacking)}.")
        return
    if trying:
        _try_changed(client, id, config, f"change-{id}-{view.version}")
        return
    with st.spinner("Reading the first payload"):
        saved = access.attempt(
            client.change_source, id, name=title.strip(), config=config, based_on=view.version
        )
    if saved is None:
        frame.notice(st.session_state.pop("problem"))
        return
    frame.tell("Saved. The first payload was read with it.")
    frame.go("sources", source=id)


def _try_changed(client: Client, id: str, config: dict[str, Any], key: str) -> None:
    """The source's connection with what stands in the form, before any of it is saved."""
    with st.spinner("Trying each stage"):
        found = access.attempt(client.check_source, id, config)
    if found is None:
        frame.notice(st.session_state.pop("problem"))
    else:
        stages(found, key)
    reveal(f"reveal-change-{id}")


def stages(found: Any, key: str = "") -> None:
    """How a connection check went, stage by stage, each failure with its fix.

    `key` is that of the form above, into which what a person accepts is put.
    """
    rows = [
        Row(
            str(at),
            [
                cell(stage.name[:1].upper() + stage.name[1:], tone="b"),
                _result(stage),
                cell(stage.detail, sub=stage.action, wrap=True),
            ],
            go=False,
        )
        for at, stage in enumerate(found.stages)
    ]
    note = "all hold" if found.ok else "it stops where a stage fails"
    with frame.panel("The connection, stage by stage", note, key="check", flush=True):
        heads = [Column("Stage"), Column("Result"), Column("What was seen, what to do")]
        listing("Connection", heads, rows, key="check-list")
    for stage in found.stages:
        if stage.accept is not None and key:
            _to_accept(stage.accept[0], stage.accept[1], key)


def _to_accept(setting: str, value: str, key: str) -> None:
    """What may be accepted, for whoever has compared it. Nothing is by itself."""
    called = setting.replace("_", " ")
    with frame.panel(f"Accept this {called}", "yours to decide", key="accept"):
        st.code(value, language=None)
        st.write(
            f"Compare it with the {called} that the server's operator gives you, by another way than this "
            "connection. Only if they are the same is it that server."
        )
        line = st.container(horizontal=True, vertical_alignment="center", gap="small")
        line.button(
            "They are the same: accept it", on_click=_accept, args=(setting, value, key), key=f"accept-{key}",
            help=access.why_not(Permission.WORK), disabled=access.why_not(Permission.WORK) is not None,
        )  # fmt: skip


def _accept(setting: str, value: str, key: str) -> None:
    # Before the form is drawn again, so that it shows what was accepted.
    name = f"{key}-{setting}"
    there = [line.strip() for line in str(st.session_state.get(name) or "").splitlines() if line.strip()]
    st.session_state[name] = "\n".join(dict.fromkeys([*there, value]))
    st.session_state.pop(f"tried-{key}", None)
    frame.tell("It stands in the form. Try the connection again.")


def _result(stage: Any) -> Any:
    """What holds with something left to do is neither well nor wrong."""
    if not stage.ok:
        return cell("Fails", chip="bad")
    return cell("Warns", chip="wait") if stage.action else cell("Holds", chip="ok")
