"""One target field: where its value comes from, and the chain of steps it goes through, tried before it is kept."""

from __future__ import annotations

import copy
from typing import Any

import streamlit as st

from app.client import Client
from app.roles import Permission
from app.widgets import access, chain, field_beginning, frame, options, words
from app.widgets import mapping_draft as drafting
from app.widgets.drafts import Draft
from app.widgets.field_answers import followed, offered
from app.widgets.form import missing
from app.widgets.value_map import value_map
from engine.errors import SpireError

Data = dict[str, Any]


def field_editor(edited: Draft, field: Any, catalogue: dict[str, Any], sources: list[str]) -> None:
    """Draw the editor of one target field; the address names the row whose values are shown."""
    told = edited.now["suggested"].get(field.name) or {}
    mapped = drafting.field_of(edited, field.name)
    if told.get("choices") and (
        mapped is None or mapped.get("from") == (told.get("best") or {}).get("source")
    ):
        field_beginning.choose(edited, field, told, mapped)
    if mapped is None:
        field_beginning.unmapped(edited, field, told)
        return
    _Editor(edited, field, catalogue, sources, mapped, _line()).draw()


class _Editor:
    """One drawing of the chain: what is shown, and what each act does to the draft."""

    def __init__(
        self, edited: Draft, field: Any, catalogue: Data, sources: list[str], mapped: Data, line: int | None
    ) -> None:
        self.edited, self.field, self.catalogue, self.sources = edited, field, catalogue, sources
        self.key = f"chain-{edited.now['subject']}-{edited.now['at']}-{field.name}"
        self.client = access.client()
        self.line = line or st.session_state.get(f"{self.key}-line")
        self._take_up(mapped)

    def _take_up(self, mapped: Data) -> None:
        """The field as the draft has it."""
        self.kept = mapped
        # What was tried and cannot be kept yet stands beside the draft, until it is mended or put back.
        tried = st.session_state.get(f"{self.key}-tried")
        self.tried = tried if tried and tried["base"] == mapped else None
        self.mapped: Data = self.tried["mapped"] if self.tried else mapped

    def draw(self) -> None:
        trace = followed(self.client, self.edited, self.field.name, self.line)
        if not isinstance(trace, SpireError) and trace.line is not None:
            # The row shown stays the same while its steps change.
            st.session_state[f"{self.key}-line"] = trace.line
        asked = st.session_state.get(f"{self.key}-asked") == self.mapped
        offers = offered(self.client, self.edited, self.field.name) if asked and self.tried is None else None
        chain.draw(self._data(trace, offers, asked), key=self.key, acted=self._acted)
        place = st.session_state.get(f"{self.key}-values")
        if place is not None:
            value_map(self.client, self.edited, self.field, place, f"{self.key}-values")

    def _data(self, trace: Any, offers: Any, asked: bool) -> Data:
        problem, lacks, at = "", [], None
        if self.tried:
            problem, lacks, at = self.tried["problem"], self.tried["lacks"], self.tried["place"]
        elif isinstance(trace, SpireError):
            problem = f"{trace.title} {trace.where}"
        found = None if isinstance(trace, SpireError) else trace
        steps = self.mapped.get("steps", [])
        origin = "constant" if "constant" in self.mapped else "sql" if self.mapped.get("sql") else "from"
        return {
            "field": self.field.name,
            "origin": origin,
            "constant": _text(self.mapped["constant"]) if origin == "constant" else None,
            "line": _where(found),
            "stages": self._stages(found),
            "steps": len(steps),
            "broken": self._broken(found),
            "problem": problem,
            "lacks": lacks,
            "pending": self.tried is not None,
            "open": at,
            "edit": access.may(Permission.WORK),
            "sql": self.mapped["sql"] if origin == "sql" and not steps else found.sql if found else "",
            "add": [
                {"step": s.name, "title": s.title, "summary": s.summary, "group": s.group}
                for s in sorted(self.catalogue.values(), key=lambda s: s.group)
            ],
            # None is asked for by the component, once it stands.
            "offers": _offers(offers) if asked or self.tried or found is None else None,
            "repair": _repair(offers),
        }  # fmt: skip

    def _stages(self, trace: Any) -> list[Data]:
        """The value as it came, after each step, and as stored; what is not kept yet has no values."""
        steps, kept = self.mapped.get("steps", []), self.kept.get("steps", [])
        if trace is None:
            known = -1
        elif self.tried is None:
            known = len(steps)
        else:
            pairs = zip(steps, kept, strict=False)
            known = next(
                (n for n, (step, old) in enumerate(pairs) if step != old), min(len(steps), len(kept))
            )
        shown = [_stage(trace.stages[0], trace.stages[0].title, None)] if trace is not None else []
        before = trace.stages[0].value if trace is not None else None
        choices = _choices_of(self.client, self.sources)
        for place, step in enumerate(steps):
            entry = self.catalogue.get(step["step"])
            stage = trace.stages[place + 1] if place < known else None
            given = step.get("options", {})
            shown.append(
                _stage(stage, entry.title if entry else step["step"], before)
                | {
                    "place": place,
                    "summary": entry.summary if entry else "",
                    "brief": _brief(given),
                    "inputs": options.inputs(entry.options, given, choices) if entry else [],
                }
            )
            before = stage.value if stage else None
        if trace is not None and self.tried is None:
            last = trace.stages[-1]
            notable = bool(last.changes or last.fails or not steps)
            shown.append(_stage(last, f"Stored {last.detail}", before) | {"shown": notable})
        return shown

    def _broken(self, trace: Any) -> list[Data]:
        """Checks beside the steps' own: that a value is there, and the rules on the field."""
        if trace is None or self.tried is not None:
            return []
        lost = sum(stage.fails for stage in trace.stages)
        return [
            {
                "says": b.message,
                "rows": f"{b.rows:,} {'note' if b.severity == 'warn' else 'fail'}",
                "here": b.here,
            }
            for b in trace.broken
            if b.rows
            and not (lost and b.rule.rpartition(":")[2] in ("kind", "type", "vocabulary", "expression"))
        ]

    def _acted(self, told: Data) -> None:
        # An act before this one may have changed what was drawn.
        mapped = drafting.field_of(self.edited, self.field.name)
        if mapped is None:
            return
        self._take_up(mapped)
        steps = [dict(step) for step in self.mapped.get("steps", [])]
        place: Any = told.get("place")
        match told["act"]:
            case "option" if place == -1:
                self._try({**self.mapped, "constant": str(told["value"])}, None)
            case "option":
                entry = self.catalogue[steps[place]["step"]]
                given = options.taken(
                    entry.options, steps[place].get("options", {}), told["name"], told["value"]
                )
                steps[place] = {"step": entry.name, **({"options": given} if given else {})}
                self._try({**self.mapped, "steps": steps}, place)
            case "move":
                steps.insert(told["to"], steps.pop(place))
                self._try({**self.mapped, "steps": steps}, None)
            case "remove":
                del steps[place]
                self._try({**self.mapped, "steps": steps}, None)
            case "copy":
                steps.insert(place + 1, copy.deepcopy(steps[place]))
                self._try({**self.mapped, "steps": steps}, place + 1)
            case "add":
                self._add(told["step"], steps)
            case "offer":
                self._take(told["kind"], told["index"])
            case "sql":
                self._try({"field": self.field.name, "sql": told["text"].strip()}, None)
            case "upto":
                self._written(place + 1)
            case "values":
                st.session_state[f"{self.key}-values"] = place
            case "line":
                st.query_params["line"] = str(told["line"])
            case "ask":
                st.session_state[f"{self.key}-asked"] = self.mapped
            case "discard":
                st.session_state.pop(f"{self.key}-tried", None)

    def _add(self, name: str, steps: list[Data]) -> None:
        # A list to replace by begins empty, and is written from the values themselves.
        step: Data = {"step": name, "options": {"values": {}}} if name == "map" else {"step": name}
        self._try({**self.mapped, "steps": [*steps, step]}, len(steps))
        if name == "map":
            st.session_state[f"{self.key}-values"] = len(steps)

    def _take(self, kind: str, index: int) -> None:
        found = offered(self.client, self.edited, self.field.name)
        offer = (found.repairs if kind == "repairs" else found.next)[index]
        steps = [step.model_dump(mode="json", exclude_defaults=True) for step in offer.steps]
        self._try({**self.mapped, "steps": steps}, None)
        if steps and steps[-1]["step"] == "map" and not steps[-1]["options"].get("values", True):
            st.session_state[f"{self.key}-values"] = len(steps) - 1

    def _written(self, steps: int) -> None:
        """The first steps as one expression, the others after it."""
        kept = self.mapped.get("steps", [])
        first = {**self.mapped, "steps": kept[:steps]}
        mappings = drafting.with_field(self.edited, self.field.name, first)
        found = access.attempt(
            self.client.trace, self.edited.now["source"], mappings, self.field.name, at=self.edited.now["at"]
        )
        if found is not None:
            made: Data = {"field": self.field.name, "sql": found.sql}
            self._try({**made, "steps": kept[steps:]} if kept[steps:] else made, None)

    def _try(self, mapped: Data, place: int | None) -> None:
        """Keep the change in the draft if it can run; else hold it beside the draft and say what it lacks."""
        if not mapped.get("steps", True):
            mapped = {name: value for name, value in mapped.items() if name != "steps"}
        for n, step in enumerate(mapped.get("steps", [])):
            given, entry = step.get("options", {}), self.catalogue.get(step["step"])
            lacking = missing(entry.options, given) if entry else []
            if entry and lacking:
                needed = [name for name in entry.options.get("required", ()) if name not in given]
                said = f"{entry.title} needs {words.listed([word.lower() for word in lacking])}."
                self._hold(mapped, said, needed, n)
                return
        now, name = self.edited.now, self.field.name
        mappings = drafting.with_field(self.edited, name, mapped)
        try:
            self.client.trace(now["source"], mappings, name, at=now["at"], line=self.line)
        except SpireError as problem:
            said = " ".join(part for part in (problem.title, problem.where, problem.action) if part)
            self._hold(mapped, said, [], place)
            return
        st.session_state.pop(f"{self.key}-tried", None)
        access.attempt(drafting.put, self.edited, self.field.name, mapped)

    def _hold(self, mapped: Data, problem: str, lacks: list[str], place: int | None) -> None:
        st.session_state[f"{self.key}-tried"] = {
            "base": self.kept, "mapped": mapped, "problem": problem, "lacks": lacks, "place": place,
        }  # fmt: skip


def _choices_of(client: Client, sources: list[str]) -> dict[str, list[str]]:
    """The words on offer for options that name a field, a kind or a vocabulary."""
    if "words-on-offer" not in st.session_state:
        kinds = ["indicator", *(k.name for k in client.kinds() if k.name != "indicator")]
        st.session_state["words-on-offer"] = (kinds, sorted(v.name for v in client.vocabularies()))
    kinds, vocabularies = st.session_state["words-on-offer"]
    return {
        "fields": sources,
        "kind_field": sources,
        "value_field": sources,
        "within": sources,
        "kind": kinds,
        "vocabulary": vocabularies,
    }


def _stage(stage: Any, title: str, before: str | None) -> Data:
    found: Data = {
        "place": None,
        "title": title,
        "value": None,
        "lost": None,
        "changes": "",
        "fails": "",
        "parts": [],
    }
    if stage is None:
        return {**found, "unknown": True}
    return {
        **found,
        "value": stage.value,
        "lost": stage.lost,
        "changes": f"changes {stage.changes:,}" if stage.changes else "changes none" if stage.step else "",
        "fails": f"{stage.fails:,} fail" if stage.fails else "",
        "failing": stage.failing,
        "parts": chain.parts(before, stage.value),
    }


def _offers(offers: Any) -> list[Data]:
    if offers is None:
        return []
    mending = [
        {
            "kind": "repairs",
            "index": n,
            "title": o.title,
            "why": _example(o),
            "does": f"repairs {o.repairs:,} of {o.fails:,}",
        }
        for n, o in enumerate(offers.repairs)
    ]
    following = [
        {
            "kind": "next",
            "index": n,
            "title": o.title,
            "why": o.why,
            "does": f"changes {o.changes:,}" if o.changes else "",
        }
        for n, o in enumerate(offers.next)
    ]
    return [*mending, *following]


def _repair(offers: Any) -> str:
    if offers is None or not offers.repairs:
        return ""
    best = offers.repairs[0]
    return f"{best.title}: repairs {best.repairs:,} of {best.fails:,}"


def _example(offer: Any) -> str:
    return f"{(offer.before or '')[:60]} → {(offer.after or '')[:60]}" if offer.after is not None else ""


def _brief(given: Data) -> str:
    return ", ".join(str(value) for value in given.values() if not isinstance(value, dict | list))[:60]


def _where(trace: Any) -> str:
    return (
        f"Line {trace.line:,}"
        if trace is not None and trace.line is not None
        else "No row takes this mapping"
    )


def _line() -> int | None:
    asked = frame.asked("line")
    return int(asked) if asked.isdigit() else None


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)
