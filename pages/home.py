"""Home: what needs me, what ran, what runs next, what there is, and the way to bring something in."""

from __future__ import annotations

import streamlit as st

from app.client import Client
from app.roles import Permission
from app.widgets import access, frame, words
from app.widgets.intake import intake
from app.widgets.ledger import figures
from app.widgets.listing import Cell, Column, Row, cell, figure, listing
from app.widgets.running import outcome


def needs(client: Client) -> list[tuple[Row, str, dict[str, object]]]:
    """What waits for a person: rejects, and pipelines whose last run failed. With where each is done."""
    found: list[tuple[Row, str, dict[str, object]]] = []
    for pipeline in client.pipelines():
        id, name = pipeline.pipeline.id, pipeline.pipeline.name
        causes = client.causes(pipeline=id, propose=False)
        rows = sum(cause.rows for cause in causes)
        if rows:
            cells: list[Cell] = [
                cell(
                    f"{words.count(rows, 'reject')} in {name}",
                    sub=words.count(len(causes), "cause"),
                    tone="b",
                ),
                cell("Repair", act="repair"),
            ]
            found.append((Row(f"rejects-{id}", cells, go=False), "quarantine", {"pipeline": id}))
        if pipeline.last_run is None:
            cells = [
                cell(f"{name} has not run yet", sub="saved, nothing in the store", tone="b"),
                cell("Open", act="open"),
            ]
            found.append((Row(f"fresh-{id}", cells, go=False), "mapping", {"pipeline": id}))
            continue
        last = client.run(pipeline.last_run)
        if last.state == "failed":
            why = (last.error or {}).get("title", "It did not finish.")
            cells = [cell(f"{name}: run {last.run} failed", sub=why, tone="b"), cell("Look", act="look")]
            found.append((Row(f"failed-{id}", cells, go=False), "runs", {"run": last.run}))
    return found


def attention(waiting: list[tuple[Row, str, dict[str, object]]]) -> None:
    with frame.panel("Needs you", key="needs", flush=True):
        chosen = listing(
            "Needs you", [Column(), Column(right=True)], [row for row, _, _ in waiting], key="needs-list",
            none="Nothing. Every finished run balances.",
        )  # fmt: skip
    for row, page, params in waiting:
        if row.id == chosen.row:
            frame.go(page, **params)


def ran(client: Client) -> None:
    names = {p.pipeline.id: p.pipeline.name for p in client.pipelines()}
    rows = [
        Row(
            str(run.run),
            [
                cell(names.get(run.pipeline, run.pipeline)),
                cell(words.ago(run.started), tone="muted", hint=words.exact(run.started)),
                figure(run.ledger.read),
                cell(ledger=figures(run.ledger)),
                cell(outcome(run)[0], tone=outcome(run)[1], wrap=True),
            ],
            href=access.address("runs", run=run.run),
        )
        for run in client.runs(limit=6).runs
    ]
    with frame.panel("Ran", key="ran", flush=True):
        columns = [
            Column("Pipeline"),
            Column("When"),
            Column("Read", right=True),
            Column("Ledger"),
            Column("Result"),
        ]
        chosen = listing("Last runs", columns, rows, key="ran-list", none="No run yet.")
    if chosen.opened:
        frame.go("runs", run=chosen.opened)


def next_runs(client: Client) -> None:
    names = {p.pipeline.id: p.pipeline.name for p in client.pipelines()}
    due = [
        (words.moment(time["utc"]), schedule)
        for schedule in access.control("GET", "/schedules", tenant=access.tenant())
        for time in schedule["next"][:2]
    ]
    due.sort(key=lambda pair: str(pair[0]))
    rows = [
        Row(
            f"{schedule['id']}-{place}",
            [
                cell(f"{time.astimezone(words.zone()):%H:%M}", hint=words.exact(time)),
                cell(f"{time:%H:%M}", tone="muted"),
                cell(names.get(schedule["pipeline"], schedule["pipeline"]), tone="b"),
                cell(words.ago(time), tone="muted"),
            ],
            go=False,
        )
        for place, (time, schedule) in enumerate(due[:6])
        if time is not None
    ]
    with frame.panel("Runs next", key="next", flush=True):
        columns = [
            Column("Here", width="56px"),
            Column("UTC", width="56px"),
            Column("Pipeline"),
            Column("When", right=True),
        ]
        listing("Runs next", columns, rows, key="next-list", none="Nothing is scheduled.")


def store(records: dict[str, int], titles: dict[str, str]) -> None:
    rows = [
        Row(name, [cell(titles.get(name, name)), figure(n)], href=access.address("explorer", target=name))
        for name, n in sorted(records.items(), key=lambda pair: -pair[1])[:8]
    ]
    with frame.panel("In the store", key="store", flush=True):
        chosen = listing(
            "In the store", [Column("Target model"), Column("Records", right=True)], rows, key="store-list",
            none="No records yet.",
        )  # fmt: skip
    if chosen.opened:
        frame.go("explorer", target=chosen.opened)


def page() -> None:
    client = access.client()
    state = client.state()
    if not state.sources and state.last_run is None:
        frame.head(
            "Bring in your first feed",
            "It takes about two minutes. What you bring is sealed the moment it arrives.",
        )
        intake(client, key="home")
        return
    waiting = needs(client)
    title = (
        f"{words.count(len(waiting), 'thing')} {'needs' if len(waiting) == 1 else 'need'} you"
        if waiting
        else "All is well"
    )
    told = f"{words.count(state.pipelines, 'pipeline')}, {words.count(sum(state.records.values()), 'record')} in the store."
    if state.running:
        told += f" {words.count(len(state.running), 'run')} under way."
    actions = frame.head(title, told)
    with actions:
        if st.button(
            "Add a source",
            type="primary",
            disabled=not access.may(Permission.WORK),
            help=access.why_not(Permission.WORK),
        ):
            frame.go("sources")
    left, right = st.columns([6, 5], gap="small")
    with left:
        attention(waiting)
        ran(client)
    with right:
        next_runs(client)
        store(state.records, {count.target: count.title for count in client.record_counts()})
    intake(client, key="home")


frame.draw(page)
