"""The rejects alike: what stands in them, and, once a fix is chosen, what each would become with it."""

from __future__ import annotations

from typing import Any

from app.widgets import words
from app.widgets.listing import Cell, Column, Row, cell, figure, listing
from app.widgets.output import text_of

NOT_A_ROW = "is still no row"


def alike(rejects: list[Any], cause: Any, trial: Any, *, selected: int, key: str) -> str:
    """Draw the list; gives the id of the row chosen just now, if one was."""
    tried = {row.id: row for row in trial.rows} if trial else {}
    shown = _after(trial, cause) if trial else []
    rows = [_row(reject, cause, tried.get(reject.id), shown) for reject in rejects]
    heads = [
        Column("Line", right=True),
        Column(f"Original {cause.source_field}" if cause.source_field else "As it came"),
        *(Column(f"{name} after the fix") for name in shown),
        *([Column("Check")] if trial else [Column("As it came")] if cause.source_field else []),
    ]
    # Two fields after the fix and the check still fit beside the row as it came.
    widest = 170 if len(shown) > 1 else 260
    chosen = listing("Rows alike", heads, rows, key=key, selected=str(selected), height=340, widest=widest)
    return chosen.opened


def passing(trial: Any) -> str:
    """How many of the tried rows would pass, and of how many that speaks."""
    if not trial.tried:
        return ""
    of = (
        f"all {trial.tried:,}"
        if trial.tried == trial.total
        else f"the first {trial.tried:,} of {trial.total:,}"
    )
    if trial.passes == trial.tried:
        return f"{of} pass after the fix"
    return f"{trial.passes:,} of {of} pass after the fix"


def verdict_of(row: Any) -> tuple[str, str]:
    """What the mapping says of a tried row, and the tone."""
    if row.outcome == "good":
        return f"Passes {row.passes:,} of {words.count(row.of, 'rule')}", "ok"
    if row.outcome == "filtered":
        return "Left out by the mapping's conditions", "muted"
    if row.outcome == "unreadable":
        return f"It {NOT_A_ROW}", "bad"
    first = row.failed[0] if row.failed else {}
    return str(first.get("message") or "Fails a rule"), "bad"


def _after(trial: Any, cause: Any) -> list[str]:
    """The target fields whose values say what a fix did: the one at fault, else what makes up the record."""
    if cause.field is not None:
        return [cause.field]
    counted: dict[str, int] = {}
    for row in trial.rows:
        for name, value in row.values.items():
            if value not in (None, "") and name != "id":
                counted[name] = counted.get(name, 0) + 1
    return sorted(counted, key=lambda name: -counted[name])[:2]


def _row(reject: Any, cause: Any, tried: Any, shown: list[str]) -> Row:
    origin = reject.fields.get(cause.source_field) if cause.source_field else reject.raw.rstrip()
    first: Cell = (
        cell(origin or "empty", tone="" if origin else "muted", hint=reject.raw)
        if cause.source_field
        else cell(origin, tone="mono", hint=reject.raw)
    )
    line = figure(reject.line, tone="muted", sub="repaired" if reject.fixed is not None else "")
    if tried is None:
        last = (
            [cell(reject.raw.rstrip(), tone="mono", hint=reject.raw)] if cause.source_field or shown else []
        )
        return Row(str(reject.id), [line, first, *(cell() for _ in shown), *last])
    told, tone = verdict_of(tried)
    fixed = tried.outcome == "good"
    after = [
        cell(text_of(tried.values.get(name)) or "empty", cls="changed" if fixed else "", tone="" if fixed else "muted")
        for name in shown
    ]  # fmt: skip
    return Row(
        str(reject.id),
        [line, first, *after, cell(told, tone=tone, wrap=tone == "bad")],
    )
