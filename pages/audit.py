"""Audit: who did what, searched over all events, in chains whose every link can be checked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from html import escape
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from app.roles import Permission
from app.widgets import access, frame, words
from app.widgets.bars import Bar, bars
from app.widgets.difference import differences
from app.widgets.listing import Cell, Column, Row, cell, listing

PAGE = 50
PLACES = {"tenant": "This tenant", "installation": "The installation"}
NEEDS = {"tenant": Permission.AUDIT, "installation": Permission.INSTALL_AUDIT}
PERIODS = {
    "": "Any time",
    "hour": "Last hour",
    "day": "Last 24 hours",
    "week": "Last 7 days",
    "month": "Last 30 days",
}
SPANS = {
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(days=7),
    "month": timedelta(days=30),
}
STEPS = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
FIELDS = {"who": "Anybody", "action": "Any action", "outcome": "Any outcome"}
Filters = dict[str, str]


class Log:
    """The audit log of the tenant, or of the installation: two places, asked alike."""

    def __init__(self, whole: bool) -> None:
        self.whole = whole
        self.client = access.client()

    def events(self, **asked: Any) -> tuple[list[dict[str, Any]], bool]:
        """A page of events, and whether there are more."""
        if self.whole:
            found = access.control("GET", "/audit", **{**asked, "limit": asked["limit"] + 1})
            return found[: asked["limit"]], len(found) > asked["limit"]
        page = self.client.audit(**asked)
        return [event.model_dump() for event in page.events], page.more

    def summary(self, asked: Filters) -> dict[str, Any]:
        """What the filters find, counted."""
        if self.whole:
            found: dict[str, Any] = access.control("GET", "/audit/summary", **asked)
            return found
        return self.client.audit_summary(**asked).model_dump()

    def event(self, seq: str) -> dict[str, Any]:
        """One event."""
        if self.whole:
            found: dict[str, Any] = access.control("GET", f"/audit/{seq}")
            return found
        return self.client.audit_event(int(seq)).model_dump()

    def verify(self) -> tuple[bool, str]:
        """Whether the chain holds, in words."""
        if self.whole:
            told = access.control("POST", "/audit/verify")
            ok, count, broken, reason = told["ok"], told["events"], told["broken"], told["reason"]
        else:
            found = self.client.verify_audit()
            ok, count, broken, reason = found.ok, found.count, found.broken, found.reason
        if ok:
            return True, f"The chain holds: {words.count(count, 'event')}, each link checked."
        at = f" It breaks at event {broken:,}." if broken else ""
        return False, f"The chain does not hold.{at} {reason} Restore the log from a backup."

    def export(self, asked: Filters) -> str:
        """The address of all that the filters find."""
        base = "/api/v1/audit" if self.whole else f"/api/v1/tenants/{access.tenant()}/audit"
        return f"{base}/export?{urlencode(asked)}"


def asked_for() -> Filters:
    """The filters of the address, as the API takes them."""
    found = {name: frame.asked(name) for name in ("text", "who", "action", "object", "outcome")}
    found |= {name: frame.asked(name) for name in ("since", "until")}
    if span := SPANS.get(frame.asked("period")):
        # To the minute, so that a rerun asks the same again.
        now = datetime.now(UTC).replace(second=0, microsecond=0)
        found["since"] = (now - span).isoformat()
    return {name: value for name, value in found.items() if value}


def narrow(**changed: str) -> None:
    """Change the filters; the list begins anew."""
    for name, value in {**changed, "before": "", "event": ""}.items():
        if value:
            st.query_params[name] = value
        else:
            st.query_params.pop(name, None)


def take(name: str) -> None:
    """What was just typed or chosen counts."""
    narrow(**{name: st.session_state[f"audit-{name}"].strip()})


def take_period() -> None:
    narrow(since="", until="", period=st.session_state["audit-period"].removeprefix("chosen"))


def take_log(before: str) -> None:
    clear()
    st.query_params["log"] = st.session_state["audit-log"] or before


def close() -> None:
    st.query_params.pop("event", None)


def clear() -> None:
    """Ask for everything."""
    for name in ("text", "who", "action", "object", "outcome", "since", "until", "period", "before", "event"):
        st.query_params.pop(name, None)
        st.session_state.pop(f"audit-{name}", None)


def filters(summary: dict[str, Any]) -> None:
    """What to look for. Each box writes into the address, so that a link shows the same."""
    row = st.container(horizontal=True, gap="small", vertical_alignment="bottom", key="audit-filters")

    def typed(name: str, label: str, hint: str) -> None:
        key = f"audit-{name}"
        st.session_state.setdefault(key, frame.asked(name))
        row.text_input(
            label, placeholder=hint, key=key, width=150,
            on_change=take, args=(name,),
        )  # fmt: skip

    typed("text", "Search", "anywhere in an event")
    for name, none in FIELDS.items():
        key, now = f"audit-{name}", frame.asked(name)
        options = ["", *dict.fromkeys([*([now] if now else []), *(c["value"] for c in summary[name])])]
        counts = {count["value"]: count["events"] for count in summary[name]}
        st.session_state[key] = now
        row.selectbox(
            {"who": "Who", "action": "What", "outcome": "Outcome"}[name], options, key=key, width=150,
            format_func=partial(_counted, counts=counts, none=none),
            on_change=take, args=(name,),
        )  # fmt: skip
    typed("object", "On", "part of a name")
    period = frame.asked("period")
    chosen = bool(frame.asked("since"))
    st.session_state["audit-period"] = "chosen" if chosen else period if period in PERIODS else ""
    row.selectbox(
        "When", [*PERIODS, *(["chosen"] if chosen else [])], key="audit-period", width=150,
        format_func=lambda p: PERIODS.get(p, "As chosen below"),
        on_change=take_period,
    )  # fmt: skip
    if asked_for():
        row.button("Clear", on_click=clear, type="tertiary")


def _counted(value: str, counts: dict[str, int], none: str) -> str:
    return f"{value} · {counts[value]:,}" if value in counts else value or none


def none_told() -> str:
    return "No event matches." if asked_for() else "Nothing is written down here yet."


def line(summary: dict[str, Any]) -> None:
    """Events along time; a bar narrows to its stretch."""
    found, step = summary["bars"], STEPS[summary["step"]]
    most = max((bar["events"] for bar in found), default=1)
    told = words.count(summary["total"], "event")
    each = "by the hour" if summary["step"] == "hour" else "by the day, in UTC"
    with frame.panel("Time line", f"{told} {each}", key="line", flush=True):
        if not found:
            st.html(f'<div class="m" style="padding: 12px">{none_told()}</div>')
            return
        starts = {bar["start"]: _start(bar["start"]) for bar in found}
        drawn = [
            Bar(
                bar["start"], _bar_words(starts[bar["start"]], bar, summary["step"]),
                share=bar["events"] / most, part=bar["wrong"] / most, tone="now",
            )
            for bar in found
        ]  # fmt: skip
        first, last = (starts[found[end]["start"]] for end in (0, -1))
        chosen = bars(
            "Events along time", drawn, key="audit-line", tall=56,
            first=_stretch(first, summary["step"]), last=_stretch(last, summary["step"]) if len(found) > 1 else "",
        )  # fmt: skip
    if chosen in starts:
        narrow(since=starts[chosen].isoformat(), until=(starts[chosen] + step).isoformat(), period="")
        st.rerun()


def _start(text: str) -> datetime:
    return datetime.fromisoformat(text + (":00" if "T" in text else "T00:00")).replace(tzinfo=UTC)


def _stretch(start: datetime, step: str) -> str:
    if step == "day":
        return f"{start:%a %-d %b %Y}"
    here = start.astimezone(words.zone())
    return f"{here:%-d %b %H:%M} to {here + STEPS['hour']:%H:%M}"


def _bar_words(start: datetime, bar: dict[str, Any], step: str) -> str:
    wrong = f", {bar['wrong']:,} refused or failed" if bar["wrong"] else ""
    return f"{_stretch(start, step)}: {words.count(bar['events'], 'event')}{wrong}"


def events(log: Log, asked: Filters, total: int) -> None:
    """A page of events, newest first."""
    before = frame.asked("before")
    found, more = log.events(**asked, limit=PAGE, **({"before": before} if before else {}))
    opened = frame.asked("event")
    rows = []
    for event in found:
        at = words.moment(event["at"])
        place = [cell(event["tenant"], tone="muted")] if log.whole and not opened else []
        cells: list[Cell] = [
            cell(_clock(at) if at else "", hint=words.exact(at) if at else ""),
            cell(event["who"], hint=event["who"]),
            cell(event["action"], tone="b"),
            *place,
            cell(event["object"], hint=event["object"]),
            cell(event["outcome"], tone="muted" if event["outcome"] == "done" else "bad"),
            cell(f"{event['seq']:,}", tone="muted"),
        ]
        href = access.address("audit", **here(event=str(event["seq"])))
        rows.append(Row(str(event["seq"]), cells, href=href))
    heads = [
        Column("When", width="120px"),
        Column("Who"),
        Column("What"),
        *([Column("Tenant")] if log.whole and not opened else []),
        Column("On"),
        Column("Outcome", width="72px"),
        Column("No.", right=True, width="64px"),
    ]
    note = "newest first" if not before else f"newest first, from number {int(before) - 1:,} back"
    with frame.panel("Events", note, key="events", flush=True):
        chosen = listing(
            "Events",
            heads,
            rows,
            key="event-list",
            selected=opened,
            none=none_told(),
            widest=150 if opened else 220,
        )
        if before or more:
            foot = st.container(horizontal=True, gap="small", key="panel-pages")
            foot.button("Newest", disabled=not before, on_click=narrow, key="audit-newest")
            foot.button(
                "Older", disabled=not more, key="audit-older",
                on_click=lambda: st.query_params.update({"before": str(found[-1]["seq"])}),
            )  # fmt: skip
    if chosen.opened:
        st.query_params["event"] = chosen.opened
        st.rerun()


def _clock(at: datetime) -> str:
    """The time here, the year only where it is another."""
    local = at.astimezone(words.zone())
    year = "" if local.year == datetime.now(UTC).year else f" {local:%Y}"
    return f"{local:%-d %b}{year} {local:%H:%M:%S}"


def here(**changed: str) -> Filters:
    """The address's parameters with some changed."""
    kept = {name: value for name, value in st.query_params.items() if name != "tenant"}
    return {name: value for name, value in {**kept, **changed}.items() if value}


def detail(log: Log, seq: str) -> None:
    """One event, with what it changed."""
    event = log.event(seq)
    at = words.moment(event["at"])
    with frame.panel(f"Event {event['seq']:,}", event["action"], key="event", flush=True):
        facts = [
            ("When", words.exact(at) if at else ""),
            ("Who", event["who"]),
            *([("Tenant", event["tenant"])] if event.get("tenant") else []),
            ("On", event["object"]),
            ("Outcome", event["outcome"]),
            ("Kind", event["kind"]),
            ("Link", event["hash"]),
        ]
        told = "".join(
            f'<span class="k">{name}</span><span class="v">{escape(str(value)) or "–"}</span>'
            for name, value in facts
        )
        st.html(f'<div class="sp-facts" style="padding: 12px">{told}</div>')
        found = differences(event["before"], event["after"])
        both = bool(event["before"]) and bool(event["after"])
        shown = [change for change in found if not change.same]
        rows = []
        for place, change in enumerate(shown):
            old = cell(change.before if change.before is not None else "–", wrap=True, tone="muted")
            new = cell(change.after if change.after is not None else "–", wrap=True)
            if both:
                new["cls"] = "changed"
            sides = [old, new] if both else [new if event["after"] else old]
            rows.append(Row(str(place), [cell(change.field, wrap=True), *sides], go=False))
        heads = ["Before", "After"] if both else ["After" if event["after"] else "Before"]
        same = len(found) - len(shown)
        listing(
            "What changed", [Column("Field"), *(Column(name) for name in heads)], rows, key="event-change",
            none="It changed no definition." if not found else "Before and after are the same.",
        )  # fmt: skip
        if same:
            st.html(
                f'<div class="m s" style="padding: 8px 12px">{words.count(same, "field")} did not change.</div>'
            )
        row = st.container(horizontal=True, gap="small", key="panel-event-foot")
        row.button("Close", on_click=close, key="event-close")
        row.button(
            "All on this", on_click=narrow, kwargs={"object": event["object"]}, disabled=not event["object"]
        )


def page() -> None:
    places = [name for name in PLACES if access.may(NEEDS[name])]
    if not places:
        frame.head("Audit", "Who did what, in a chain of events that can be checked.")
        frame.warn("Reading the audit log needs the auditor or the administrator role. Ask an administrator.")
        return
    place = frame.asked("log") if frame.asked("log") in places else places[0]
    log = Log(place == "installation")
    actions = frame.head(
        "Audit",
        "Each event carries the hash of the one before, so none is changed unseen.",
    )
    asked = asked_for()
    with actions:
        if len(places) > 1:
            st.session_state["audit-log"] = place
            st.segmented_control(
                "Whose", places, format_func=lambda p: PLACES[p], key="audit-log", label_visibility="collapsed",
                on_change=take_log, args=(place,),
            )  # fmt: skip
        st.link_button("Export NDJSON", log.export(asked), help="All events that match, not this page alone.")
        if st.button("Verify the chain", type="primary"):
            with st.spinner("Checking each link"):
                st.session_state["verdict"] = log.verify()
    verdict = st.session_state.pop("verdict", None)
    if verdict:
        tone = "ok" if verdict[0] else ""
        role = "status" if verdict[0] else "alert"
        st.html(f'<div class="sp-notice {tone}" role="{role}"><b>{escape(verdict[1])}</b></div>')
    summary = log.summary(asked)
    filters(summary)
    line(summary)
    if frame.asked("event"):
        left, right = st.columns([7, 5], gap="small")
        with right:
            detail(log, frame.asked("event"))
        with left:
            events(log, asked, summary["total"])
    else:
        events(log, asked, summary["total"])


frame.draw(page)
