"""Changes of a mapping in words: what became of each field, step and rule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher
from typing import Any

from engine.mapping import Change
from engine.model import Rule
from engine.rulewords import says
from engine.steps import STEPS

_SEVERITY = {"warn": "note it", "quarantine": "put the row into quarantine", "fail": "fail the run"}
_WHOLE = {"where": "the rows it takes", "explode": "the list it takes apart", "target": "the target model"}


def told(change: Change) -> str:
    """One change as a clause: `value comes from dst_ip, no longer from src_ip`."""
    name, before, after = change.name, change.before, change.after
    if change.what == "field":
        if change.part == "steps":
            return f"{name}: {'; '.join(_steps(before or [], after or [])) or 'options change'}"
        if change.how == "removed":
            return f"{name} is no longer mapped (it came {_origin(before)})"
        if change.how == "added":
            steps = ", ".join(_step(step) for step in after.get("steps", []))
            return f"{name} is mapped, {_origin(after)}" + (f": {steps}" if steps else "")
        return f"{name} comes {_origin(after)}, no longer {_origin(before)}"
    if change.what == "rule":
        return _rule(change)
    thing = _WHOLE[change.what]
    if before is None:
        return f"{thing}: now {after}"
    return f"{thing}: no longer {before}" if after is None else f"{thing}: {after}, no longer {before}"


def _origin(item: Mapping[str, Any]) -> str:
    if item.get("from") is not None:
        return f"from {item['from']}"
    if item.get("sql") is not None:
        return f"from the expression {_short(item['sql'])}"
    return f"from the constant {_short(item.get('constant'))}"


def _steps(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> Iterator[str]:
    """The shortest way from one chain to the other, step by step."""
    a, b = ([step["step"] for step in steps] for steps in (before, after))
    if a != b and sorted(map(_step, before)) == sorted(map(_step, after)):
        yield f"steps in another order, now {', '.join(map(_step, after))}"
        return
    for how, i, j, k, end in SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if how == "equal":
            pairs = zip(before[i:j], after[k:end], strict=True)
            yield from (
                f"{_step(old)} becomes {_step(new)}" for old, new in pairs if _step(old) != _step(new)
            )
        else:
            yield from (f"{_step(old)} goes" for old in before[i:j])
            yield from (f"{_step(new)} is added as step {n}" for n, new in enumerate(after[k:end], k + 1))


def _step(step: Mapping[str, Any]) -> str:
    entry = STEPS.get(step["step"])
    title = entry.title if entry else step["step"]
    options = ", ".join(_option(name, value) for name, value in (step.get("options") or {}).items())
    return f"“{title}” ({options})" if options else f"“{title}”"


def _option(name: str, value: Any) -> str:
    if isinstance(value, dict):
        return f"{len(value):,} {name}"
    if isinstance(value, list):
        return f"{name} {', '.join(str(each) for each in value[:4])}" + (" …" if len(value) > 4 else "")
    return f"{name} {_short(value)}"


def _rule(change: Change) -> str:
    name, before, after = change.name, change.before, change.after
    if change.how == "added":
        return f"rule added: {_says(after)}"
    if change.how == "removed":
        return f"rule removed: {_says(before)}"
    if change.part == "severity":
        words = (_SEVERITY[str(s or "quarantine")] for s in (after, before))
        return "rule {}: where it does not hold, {}, no longer {}".format(name, *words)
    return f"rule {name}: {change.part} is {_plain(after)}, no longer {_plain(before)}"


def _says(rule: Mapping[str, Any]) -> str:
    return says(Rule.model_validate(rule))


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_short(each)}" for name, each in value.items())
    return "not there" if value is None else _short(value)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else text[:79] + "…"
