"""Credentials: what each may be sent to, when it ends, what uses it; adding, testing, rotating, removing."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from html import escape
from typing import Any, Literal

import streamlit as st

from app.client import Client
from app.roles import Permission
from app.widgets import access, frame, words
from app.widgets.listing import Column, Row, cell, listing

KINDS = {
    "secret": "Secret",
    "password": "Password",
    "token": "Token",
    "key": "API key",
    "certificate": "Certificate and its key (PEM)",
}
PLACES = {"stored": "sealed here", "environment": "in a variable", "vault": "in the vault"}
CHIPS = {"open": "ok", "ends soon": "wait", "ended": "bad"}
USED_ON = {"source": "sources", "publication": "schedules"}
HOSTS_HELP = "One a line: api.example, or db.example:5432 for one port only."


def credentials(client: Client) -> None:
    """The list, and below it what can be done with the chosen one beside a new one."""
    found = client.credentials()
    wanted = frame.asked("credential")
    _list(found, wanted)
    selected = next((each for each in found if each.id == wanted), None)
    problem = st.session_state.pop("problem", None)
    if problem is not None:
        frame.notice(problem)
    tried = st.session_state.get("credential-tried")
    if selected is not None and tried is not None and tried[0] == selected.id:
        _trials(tried[1])
    left, right = st.columns(2, gap="small")
    with left:
        if selected is not None:
            _chosen(client, selected)
        else:
            st.caption("Choose a credential to test it, to rotate it, or to remove it.")
    with right:
        # With one chosen, the next thing to do is with that one.
        _add(client, "secondary" if selected is not None else "primary")
        _elsewhere(client)


def _list(found: list[Any], wanted: str) -> None:
    rows = [
        Row(
            each.id,
            [
                cell(each.name, sub=KINDS[each.kind], tone="b"),
                cell(", ".join(each.hosts) or "none", wrap=True),
                cell(PLACES[each.place], sub=each.reference, tone="muted"),
                _end(each),
                cell(
                    words.ago(each.used) if each.used else "never",
                    tone="muted",
                    hint=f"{words.exact(each.used)}, {each.used_for}" if each.used else "",
                ),
                cell(
                    ", ".join(use.name for use in each.used_by) or "nothing",
                    tone="" if each.used_by else "muted",
                    hint=", ".join(use.name for use in each.used_by),
                ),
            ],
            href=access.address("settings", part="credentials", credential=each.id),
        )
        for each in found
    ]
    heads = [
        Column("Credential"),
        Column("Bound to"),
        Column("Kept"),
        Column("Ends"),
        Column("Last used"),
        Column("Used by"),
    ]
    note = "sealed under this tenant's key, and never shown again"
    with frame.panel("Credentials", note, key="credentials", flush=True):
        chosen = listing(
            "Credentials", heads, rows, key="credential-list", selected=wanted, none="None yet.", widest=210
        )
    if chosen.opened:
        st.query_params["credential"] = chosen.opened
        st.rerun()


def _end(each: Any) -> Any:
    if each.expires is None:
        return cell("no end", tone="muted")
    told, exact = words.ago(each.expires), words.exact(each.expires)
    return (
        cell(told, hint=exact)
        if each.state == "open"
        else cell(f"{each.state}, {told}", chip=CHIPS[each.state], hint=exact)
    )


def _chosen(client: Client, each: Any) -> None:
    with frame.panel(each.name, each.id, key="credential"):
        if each.state != "open":
            tone = "bad" if each.state == "ended" else "wait"
            frame.warn(f"<b>It {'has ended' if tone == 'bad' else 'ends soon'}.</b> Rotate it.", tone)
        used = [frame.link(use.name, USED_ON[use.kind], **{use.kind: use.id}) for use in each.used_by]
        facts = [
            ("Bound to", escape(", ".join(each.hosts) or "no host")),
            ("Kept", escape(f"{PLACES[each.place]} {each.reference}".strip())),
            ("Added", f"{words.when(each.created)} by {escape(each.created_by)}"),
            (
                "Rotated",
                words.when(each.rotated) + (f" by {escape(each.rotated_by)}" if each.rotated_by else ""),
            ),
            ("Last used", words.when(each.used) + (f", {escape(each.used_for)}" if each.used_for else "")),
            ("Used by", words.listed(used) if used else "nothing"),
        ]
        told = "".join(
            f'<span class="k">{name}</span><span class="v">{value}</span>' for name, value in facts
        )
        st.html(f'<div class="sp-facts">{told}</div>')
        off = access.why_not(Permission.WORK)
        if st.button(
            "Test it", disabled=off is not None, help=off or "Tries everything that uses it, stage by stage."
        ):
            with st.spinner("Trying everything that uses it"):
                st.session_state["credential-tried"] = (
                    each.id,
                    access.attempt(client.check_credential, each.id),
                )
            st.rerun()
    if each.place == "stored":
        _rotate(client, each)
    else:
        st.caption("Its value is changed where it is kept; test it here afterwards.")
    _remove(client, each)


def _rotate(client: Client, each: Any) -> None:
    off = access.why_not(Permission.BUILD)
    with frame.panel("Rotate", "tried first with everything that uses it", key="rotate-credential"):
        with st.form(f"rotate-{each.id}", border=False, clear_on_submit=True):
            value = _secret("New value", each.kind, f"value-{each.id}")
            expires = st.date_input(
                "It ends on", value=None, format="YYYY-MM-DD", key=f"rotate-end-{each.id}"
            )
            hosts = st.text_area(
                "Bound to",
                value="\n".join(each.hosts),
                key=f"rotate-hosts-{each.id}",
                height=80,
                help=HOSTS_HELP,
            )
            force = st.checkbox("Rotate even if something fails with it", key=f"rotate-force-{each.id}")
            asked = st.form_submit_button("Rotate", type="primary", disabled=off is not None, help=off)
        if not asked:
            return
        if not value:
            frame.warn("<b>There is no new value.</b> Type it.")
            return
        with st.spinner("Trying everything that uses it"):
            done = access.attempt(
                client.rotate_credential, each.id, value, hosts=hosts.split(), expires=_ends(expires), force=force
            )  # fmt: skip
        if done is not None:
            st.session_state["credential-tried"] = (each.id, done)
            if done.rotated:
                frame.tell(f"{each.name} is rotated.")
        st.rerun()


def _remove(client: Client, each: Any) -> None:
    off = access.why_not(Permission.BUILD)
    with frame.panel("Remove", key="remove-credential"):
        if each.used_by:
            names = words.listed([escape(use.name) for use in each.used_by])
            frame.warn(
                f"<b>{names} would stop working.</b> Give them another credential first, or type its id.",
                "bad",
            )
        else:
            st.caption("Nothing uses it.")
        with st.form(f"remove-{each.id}", border=False):
            typed = st.text_input(f"Type {each.id} to remove it") if each.used_by else each.id
            asked = st.form_submit_button("Remove", disabled=off is not None, help=off)
        if asked and typed == each.id:
            access.attempt(client.remove_credential, each.id, force=bool(each.used_by))
            if "problem" not in st.session_state:
                frame.tell(f"{each.name} is removed.")
                st.query_params.pop("credential", None)
            st.rerun()


def _add(client: Client, kind_of_button: Literal["primary", "secondary"]) -> None:
    off = access.why_not(Permission.WORK)
    with frame.panel("New credential", "sealed here", key="new-credential"):
        kind = st.selectbox("Kind", list(KINDS), format_func=lambda kind: KINDS[kind])
        with st.form("new-credential", border=False):
            one, two = st.columns(2, gap="small")
            name = one.text_input("Name", placeholder="AlienVault OTX, reading")
            expires = two.date_input(
                "It ends on", value=None, format="YYYY-MM-DD", help="We warn two weeks before."
            )
            value = _secret("Value", kind, "new-value")
            hosts = st.text_area("Bound to", height=80, placeholder="otx.alienvault.com", help=HOSTS_HELP)
            asked = st.form_submit_button("Add", type=kind_of_button, disabled=off is not None, help=off)
        if asked:
            fields = {
                "name": name,
                "kind": kind,
                "value": value,
                "hosts": hosts.split(),
                "expires": _ends(expires),
            }
            _made(client, fields, [name, value, hosts.strip()])


def _elsewhere(client: Client) -> None:
    off = access.why_not(Permission.ADMINISTER)
    with (
        st.expander("Keep it in a variable or a vault instead"),
        st.form("elsewhere-credential", border=False),
    ):
        name = st.text_input("Name", key="elsewhere-name")
        one, two = st.columns(2, gap="small")
        place = one.selectbox("Kept", ["environment", "vault"], format_func=lambda place: PLACES[place])
        expires = two.date_input("It ends on", value=None, format="YYYY-MM-DD", key="elsewhere-end")
        reference = st.text_input(
            "Where", placeholder="SPIRE_CREDENTIAL_OTX, or feeds/otx#key",
            help="A variable that the installation gives to this tenant, or a path and a field in the vault.",
        )  # fmt: skip
        hosts = st.text_area("Bound to", height=80, key="elsewhere-hosts", help=HOSTS_HELP)
        asked = st.form_submit_button("Refer to it", disabled=off is not None, help=off)
    if asked:
        fields = {
            "name": name,
            "place": place,
            "reference": reference,
            "hosts": hosts.split(),
            "expires": _ends(expires),
        }
        _made(client, fields, [name, reference, hosts.strip()])


def _made(client: Client, fields: dict[str, Any], needed: list[str]) -> None:
    if not all(needed):
        frame.warn("<b>Something is missing.</b> Give a name, what it is, and the hosts it may be sent to.")
        return
    made = access.attempt(client.create_credential, **fields)
    if made is not None:
        frame.tell(f"{made.name} is there. Sources can use it.")
        st.session_state.pop("new-value", None)
        st.query_params["credential"] = made.id
    st.rerun()


def _secret(label: str, kind: str, key: str) -> str:
    """A field for a secret: of several lines where the kind has them, else hidden."""
    if kind == "certificate":
        with st.container(key=f"secret-{key}"):
            return str(st.text_area(label, key=key, height=120))
    return str(st.text_input(label, key=key, type="password"))


def _ends(day: date | None) -> str | None:
    """The end of a day, as it goes over the wire."""
    return datetime.combine(day, time(23, 59, 59), UTC).isoformat() if day else None


def _trials(found: Any) -> None:
    if found is None:
        return
    rows = []
    for n, trial in enumerate(found.trials):
        failed = next((stage for stage in trial.stages if not stage.ok), None)
        last = failed or trial.stages[-1]
        rows.append(
            Row(
                str(n),
                [
                    cell(trial.use.name if trial.use else "its value", tone="b"),
                    cell("works", chip="ok") if trial.ok else cell("fails", chip="bad"),
                    cell(f"{last.name}: {last.detail}", sub=last.action, wrap=True),
                ],
                go=False,
            )
        )
    rotated = getattr(found, "rotated", None)
    note = "all work" if found.ok else "the old value stays" if rotated is False else "not all work"
    with frame.panel("Tried with everything that uses it", note, key="credential-trials", flush=True):
        heads = [Column("Used by"), Column("Result"), Column("What was seen, what to do")]
        listing("Trials", heads, rows, key="trial-list", none="Nothing uses it yet.")
