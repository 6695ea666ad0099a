"""Publishing: where records go, how each delivery went, and what is waiting for the next."""

from __future__ import annotations

from html import escape
from typing import Any, Literal, NoReturn

import streamlit as st

from app.client import Client
from app.roles import Permission
from app.tenant.schemas.publications import DeliveryDetail, DeliveryView, PublicationView
from app.widgets import access, frame, words
from app.widgets.form import form, missing
from app.widgets.listing import Cell, Column, Row, cell, figure, listing
from app.widgets.view import View, span

STATES = {"finished": "ok", "failed": "bad", "running": "", "cancelled": "wait"}
_SHORTENED = "They went without what STIX 2.0 has no words for."
# How a schedule names what it delivers.
PREFIX = "publication:"
Gone = Literal["leave", "withdraw"]
_GONE: dict[Gone, str] = {"leave": "stays there as it was sent", "withdraw": "is withdrawn: {}"}
# What withdrawing comes to; in a database a row is deleted.
_TAKEN_BACK = {
    "taxii": "what we made is revoked, what others made removed",
    "misp": "our attribute is deleted softly",
    "mongo": "its document is deleted there",
}


def scheduled(publications: list[PublicationView]) -> dict[str, str]:
    """Publications as a schedule names them, with what a person calls them."""
    return {f"{PREFIX}{p.publication.id}": f"{p.publication.name} (publication)" for p in publications}


def begin(view: View) -> NoReturn:
    """Open the form in which the records of a view are made a publication."""
    given: dict[str, str | list[str]] = {
        "publication": "new", "target": view.target, "tenant": access.tenant(), "search": view.search,
        "match": "whole" if view.whole else "", "where": [f"{name}={value}" for name, value in view.where],
    }  # fmt: skip
    kept = {name: value for name, value in given.items() if value}
    st.switch_page(frame.PAGES / "schedules.py", query_params=kept)


def overview(client: Client, found: list[PublicationView]) -> None:
    """Every publication: what goes where, how the last delivery went, what waits."""
    if not found:
        return
    titles = {c.name: c.title for c in client.connectors()}
    rows = [
        Row(
            one.publication.id,
            [
                cell(one.publication.name, sub=_what(one), hint=one.publication.name),
                cell(titles.get(one.publication.connector, one.publication.connector), sub=_where(one)),
                _went(one.last),
                figure(one.waiting, tone="b" if one.waiting else "muted"),
            ],
            href=access.address("schedules", publication=one.publication.id),
        )
        for one in found
    ]
    heads = [
        Column("Publication"),
        Column("To"),
        Column("Last delivery"),
        Column("Waiting", right=True, hint="Records that have come since the last delivery."),
    ]
    with frame.panel("Publications", "records on their way to other systems", key="publications", flush=True):
        chosen = listing("Publications", heads, rows, key="publication-list", widest=300)
    if chosen.opened:
        frame.go("schedules", publication=chosen.opened)


def page(client: Client, id: str) -> None:
    """One publication, or the form of a new one."""
    if id == "new":
        _new(client)
        return
    found = client.publication(id)
    titles = {c.name: c.title for c in client.connectors()}
    actions = frame.head(
        found.publication.name,
        escape(f"{_sentence(_what(found))}, to {titles.get(found.publication.connector, '')}."),
        crumb=frame.link("Schedules", "schedules"),
        chips=_chips(found),
    )
    with actions:
        _buttons(client, found)
    left, right = st.columns([7, 5], gap="small")
    with left, frame.panel("Where it goes", key="publication"):
        _change(client, found)
    with right:
        # On its own, so that what is being typed beside it is left alone.
        st.fragment(_deliveries, run_every=3)(client, id, _stands(found.last))


def _new(client: Client) -> None:
    frame.head(
        "Publish records",
        "Records of a target model go to another system, at first all of them and then what is new or changed.",
        crumb=frame.link("Schedules", "schedules"),
    )
    sinks = {c.name: c.title for c in client.connectors() if "write" in c.capabilities}
    models = {t.target.name: t.target.title or t.target.name for t in client.targets() if t.records}
    if not models:
        frame.warn("<b>There are no records yet.</b> Run a pipeline first.")
        return
    with frame.panel("What and where", key="publish"):
        one, two = st.columns(2, gap="medium")
        asked = frame.asked("target")
        target = one.selectbox(
            "Records of", list(models), index=list(models).index(asked) if asked in models else 0,
            format_func=lambda name: models[name], key="p-target",
        )  # fmt: skip
        connector = two.selectbox("To", list(sinks), format_func=lambda name: sinks[name], key="p-connector")
        filters = _filters() if target == asked else {}
        if filters:
            st.caption(words.plain(f"Only those with {_filter_words(filters)}."))
        body = _form(client, connector, {}, f"{models[target]} to {sinks[connector]}")
    if body is None:
        return
    made = access.attempt(client.create_publication, **body, connector=connector, target=target, **filters)
    if made is None:
        frame.notice(st.session_state.pop("problem"))
        return
    frame.tell("Saved. Nothing has gone out yet: deliver it now, or give it a schedule.")
    frame.go("schedules", publication=made.publication.id)


def _change(client: Client, found: PublicationView) -> None:
    kept = found.publication
    body = _form(client, kept.connector, kept.config, kept.name, kept.gone)
    if body is None:
        return
    same = {"connector": kept.connector, "target": kept.target, "search": kept.search, "match": kept.match}
    saved = access.attempt(
        client.change_publication, kept.id, **body, **same, where=list(kept.where), based_on=found.version
    )
    if saved is None:
        frame.notice(st.session_state.pop("problem"))
        return
    frame.tell("Saved.")
    st.rerun()


def _form(
    client: Client, connector: str, given: dict[str, Any], name: str, gone: Gone = "leave"
) -> dict[str, Any] | None:
    """Name, connection and what becomes of what is gone; what was sent, once it is complete."""
    schema = _for_writing(next(c.config for c in client.connectors() if c.name == connector))
    off = access.why_not(Permission.BUILD)
    with st.form(f"publish-{connector}", border=False):
        title = st.text_input("Name", value=name, key=f"p-name-{connector}")
        config = form(
            schema, given, key=f"p-{connector}", columns=2,
            credentials={each.id: each.name for each in client.credentials()},
        )  # fmt: skip
        chosen = st.selectbox(
            "What is no longer to be there", list(_GONE), index=list(_GONE).index(gone), key=f"p-gone-{connector}",
            format_func=lambda word: _GONE[word].format(_TAKEN_BACK.get(connector, "its row is deleted there")),
            help="A record whose run was undone, that its source has no more, or that the filter no longer means.",
        )  # fmt: skip
        # Of what is there already the next thing to do is to deliver it.
        kind: Literal["primary", "secondary"] = "secondary" if given else "primary"
        sent = st.form_submit_button("Save", type=kind, disabled=off is not None, help=off)
    lacking = missing(schema, config)
    if sent and (lacking or not title.strip()):
        frame.warn(f"<b>Something is missing.</b> Fill in: {', '.join(lacking or ['Name'])}.")
        return None
    return {"name": title.strip(), "config": config, "gone": chosen} if sent else None


def _for_writing(schema: dict[str, Any]) -> dict[str, Any]:
    """What a connector asks for, without what only says how to read."""
    kept = {name: told for name, told in schema["properties"].items() if not told.get("reading")}
    return {**schema, "properties": kept}


def _buttons(client: Client, found: PublicationView) -> None:
    id = found.publication.id
    build, work = access.why_not(Permission.BUILD), access.why_not(Permission.WORK)
    going = found.last is not None and found.last.state == "running"
    off = work or ("A delivery is under way." if going else None)
    with st.popover("Delete", disabled=build is not None, help=build):
        st.write(
            "What it delivered stays where it is, also if it withdraws. Schedules of it are to be deleted apart."
        )
        if st.button("Delete the publication"):
            client.delete_publication(id)
            frame.tell("The publication was deleted.")
            frame.go("schedules")
    if st.button("Schedule", disabled=build is not None, help=build):
        frame.go("schedules", schedule="new", pipeline=f"{PREFIX}{id}")
    with st.popover("Deliver everything", disabled=off is not None, help=off):
        st.write("All records go again. Those that stand there as they are stay untouched.")
        if st.button("Deliver everything again"):
            _deliver(client, id, anew=True)
    if st.button("Deliver now", type="primary", disabled=off is not None, help=off):
        _deliver(client, id, anew=False)


def _deliver(client: Client, id: str, *, anew: bool) -> None:
    if access.attempt(client.deliver, id, anew=anew) is not None:
        frame.tell("A delivery has begun.")
    st.rerun()


def _stands(last: DeliveryView | None) -> tuple[int, str]:
    return (last.delivery, last.state) if last else (0, "")


def _deliveries(client: Client, id: str, shown: tuple[int, str]) -> None:
    """How the deliveries went, and what the last one's other side would not have."""
    found = client.deliveries(id)
    if _stands(found[0] if found else None) != shown:
        # The page's head and its buttons say how things stand as well.
        st.rerun()
    rows = [
        Row(
            str(one.delivery),
            [
                cell(_ago(one), hint=words.exact(one.started), sub=f"by {words.doer(one.started_by)}"),
                cell(one.state, chip=STATES[one.state], sub=_error(one), wrap=True),
                figure(
                    one.sent,
                    sub=f"{one.less:,} shortened" if one.less else "",
                    hint=_SHORTENED if one.less else "",
                ),
                figure(one.withdrawn, tone="" if one.withdrawn else "muted"),
                figure(one.refused, tone="bad" if one.refused else "muted"),
            ],
            go=False,
        )
        for one in found
    ]
    heads = [
        Column("Begun"),
        Column("Outcome"),
        Column("Sent", right=True),
        Column("Withdrawn", right=True, hint="What is no longer to be there, and was taken back."),
        Column("Refused", right=True),
    ]
    with frame.panel(
        "Deliveries", "each record taken was sent, withdrawn or refused", key="deliveries", flush=True
    ):
        listing("Deliveries", heads, rows, key="delivery-list", none="Nothing has gone out yet.", height=320)
    refusing = next((one for one in found if one.refused), None)
    if refusing is not None:
        _refusals(client.delivery(id, refusing.delivery))


def _refusals(found: DeliveryDetail) -> None:
    rows = [
        Row(str(at), [cell(one.id, hint=one.id), cell(one.why, wrap=True)], go=False)
        for at, one in enumerate(found.refusals)
    ]
    note = f"{found.refused:,} of {found.taken:,}, {_ago(found)}"
    with frame.panel("Refused", note, key="refused", flush=True):
        listing("Refused records", [Column("Record"), Column("Why")], rows, key="refused-list", height=300)


def _ago(one: DeliveryView) -> str:
    return words.ago(one.started)


def _went(last: DeliveryView | None) -> Cell:
    if last is None:
        return cell("not yet", tone="muted")
    more = {"withdrawn": last.withdrawn, "refused": last.refused}
    counts = ", ".join([f"{last.sent:,} sent", *(f"{n:,} {word}" for word, n in more.items() if n)])
    return cell(last.state, chip=STATES[last.state], sub=f"{_ago(last)}, {counts}")


def _error(one: DeliveryView) -> str:
    return (
        " ".join(str(one.error[key]) for key in ("title", "where", "action") if (one.error or {}).get(key))
        if one.error
        else ""
    )


def _chips(found: PublicationView) -> list[tuple[str, str]]:
    chips = [(f"delivery {found.last.state}", STATES[found.last.state])] if found.last else []
    if found.leaving:
        chips.append((f"{words.count(found.leaving, 'record')} to withdraw", "wait"))
    return [*chips, (f"{words.count(found.waiting, 'record')} waiting", "wait" if found.waiting else "")]


def _what(found: PublicationView) -> str:
    kept = found.publication
    filters = {"search": kept.search, "match": kept.match, "where": list(kept.where)}
    told = _filter_words({name: value for name, value in filters.items() if value})
    return f"records of {kept.target} with {told}" if told else f"all records of {kept.target}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _where(found: PublicationView) -> str:
    """The place in a line: host and table of a database, else the address."""
    config = found.publication.config
    place = config.get("table") or config.get("collection") or ", ".join(config.get("collections", ()))
    return " · ".join(str(part) for part in (config.get("host") or config.get("url"), place) if part)


def _filters() -> dict[str, Any]:
    """The filter the address brings from the explorer."""
    given = st.query_params
    found = {
        "search": given.get("search", ""),
        "match": given.get("match", ""),
        "where": given.get_all("where"),
    }
    return {name: value for name, value in found.items() if value}


def _filter_words(filters: dict[str, Any]) -> str:
    parts = [f"“{filters['search']}”"] if filters.get("search") else []
    for each in filters.get("where", ()):
        name, _, value = each.partition("=")
        parts.append(f"{name} {span(value) or 'without a value'}")
    return words.listed(parts)
