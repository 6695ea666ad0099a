"""A view of the store: which records, in which order, from which place; all of it in the page's address."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from app.widgets import access
from app.widgets.facets import Chip

PAGE = 50
Pair = tuple[str, str]


@dataclass(frozen=True)
class View:
    """What is looked at. `where` are field and value, as the API's filters; `order` begins with - to go down."""

    target: str
    search: str = ""
    whole: bool = False
    where: tuple[Pair, ...] = ()
    run: int | None = None
    order: str = ""
    offset: int = 0
    time: str = ""

    def filters(self) -> dict[str, Any]:
        """The filter as the client takes it."""
        return {
            "search": self.search or None,
            "match": "whole" if self.whole else None,
            "where": [f"{name}={value}" for name, value in self.where] or None,
            "run": self.run,
        }

    def params(self) -> dict[str, list[str]]:
        """The address's parameters, without what is as it is anyway."""
        found = {
            "target": [self.target],
            "search": [self.search],
            "match": ["whole"] if self.whole else [],
            "where": [f"{name}={value}" for name, value in self.where],
            "run": [str(self.run)] if self.run is not None else [],
            "order": [self.order],
            "offset": [str(self.offset)] if self.offset else [],
            "time": [self.time],
        }
        return {name: values for name, values in found.items() if any(values)}

    def toggled(self, field: str, value: str) -> View:
        """With this value of this field, or without it where it was in force."""
        pair = (field, value)
        where = tuple(p for p in self.where if p != pair) if pair in self.where else (*self.where, pair)
        return replace(self, where=where, offset=0)

    def within(self, field: str, low: str, high: str) -> View:
        """Within a span of a time field, instead of any span of it before."""
        where = tuple(p for p in self.where if p[0] != field)
        return replace(self, where=(*where, (field, f"{low}..{high}")), offset=0)

    def sorted_by(self, field: str) -> View:
        """By a field; the other way round where it was sorted by it, and not at all the third time."""
        order = f"-{field}" if self.order == field else "" if self.order == f"-{field}" else field
        return replace(self, order=order, offset=0)

    def without(self, chip: str) -> View:
        """Without the filter of a chip; `*` leaves none."""
        if chip == "*":
            return replace(self, search="", whole=False, where=(), run=None, offset=0)
        if chip == "search":
            return replace(self, search="", whole=False, offset=0)
        if chip == "run":
            return replace(self, run=None, offset=0)
        field, _, value = chip.partition("=")
        return replace(self, where=tuple(p for p in self.where if p != (field, value)), offset=0)

    def chips(self, titles: dict[str, str], labels: dict[Pair, str]) -> list[Chip]:
        """What is filtered by, in words."""
        found = []
        if self.search:
            found.append(Chip("search", "is" if self.whole else "contains", f"“{self.search}”"))
        if self.run is not None:
            found.append(Chip("run", "loaded by", f"run {self.run}"))
        for field, value in self.where:
            label = labels.get((field, value), value)
            label = (span(value) if label == value else label) or "no value"
            found.append(Chip(f"{field}={value}", titles.get(field, field), label))
        return found


def span(value: str) -> str:
    """The value of a filter, a span of values in words."""
    low, dots, high = value.partition("..")
    if not dots:
        return value
    low, high = low.removesuffix("T00:00:00"), high.removesuffix("T00:00:00")
    return f"from {low} to before {high}" if low and high else f"from {low}" if low else f"before {high}"


def of_address(target: str) -> View:
    """The view the address asks for."""
    given = st.query_params
    pairs = [each.partition("=") for each in given.get_all("where")]
    return View(
        target=target,
        search=given.get("search", ""),
        whole=given.get("match") == "whole",
        where=tuple((name, value) for name, sign, value in pairs if sign),
        run=int(given["run"]) if given.get("run", "").isdigit() else None,
        order=given.get("order", ""),
        offset=int(given["offset"]) if given.get("offset", "").isdigit() else 0,
        time=given.get("time", ""),
    )


def heard(view: View) -> View:
    """The view after what was just clicked in it. Asked first, so that nothing is fetched for the view before."""
    if picked := _event(f"facets-{view.target}", "picked"):
        return view.toggled(picked["field"], picked["value"])
    if removed := _event("chips", "removed"):
        return view.without(removed)
    if span := _event("timeline", "picked"):
        return view.within(span["field"], span["from"], span["to"])
    if column := _event("record-list", "sorted"):
        return view.sorted_by(column)
    if target := _event("target-list", "opened"):
        return View(target, run=view.run)
    return view


def opened() -> str:
    """The record just opened in the list."""
    return str(_event("record-list", "opened") or "")


def _event(key: str, name: str) -> Any:
    return getattr(st.session_state.get(key), name, None)


def put(view: View) -> None:
    """Write a view into the address; what draws next shows it."""
    st.query_params.from_dict({**view.params(), "tenant": access.tenant()})


def address(view: View) -> str:
    """A view's address in this tenant."""
    return f"/explorer?{urlencode({**view.params(), 'tenant': access.tenant()}, doseq=True)}"


def export_address(view: View, target: str, format: str) -> str:
    """Where the browser fetches the records of a view as a file."""
    given = {name: value for name, value in view.filters().items() if value is not None}
    query = urlencode({"format": format, **given}, doseq=True)
    return f"/api/v1/tenants/{access.tenant()}/export/{target}?{query}"
