"""Proposing: for a cause of rejects, the fixes that were tried on examples and work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from rapidfuzz import fuzz, process

from app.tenant.desk import Desk
from app.tenant.repairing import in_mapping, mended, passing, values_of
from app.tenant.schemas.rejects import Fix, MapFix, MappingFix, PadFix, Proposal, StepFix
from engine.errors import Stop
from engine.mapping import address
from engine.model import FieldMapping, Mapping, Pipeline, Shape, Step, TargetModel
from engine.types import VOCABULARIES
from storage.quarantine import Reject

TRIED = 50
_CLOSE = 70

_TEXT_FIXES: tuple[tuple[str, tuple[Step, ...]], ...] = (
    ("Trim spaces", (Step(step="trim"),)),
    ("Refang the value", (Step(step="refang"),)),
    ("Take off surrounding quotes and brackets", (
        Step(step="replace", options={"find": "^[\\s\"'<(\\[{]+|[\\s\"'>)\\]},;.]+$", "replacement": "", "regex": True}),
    )),
    ("Take the first of several values", (Step(step="extract", options={"regex": "[^\\s,;|]+"}),)),
    ("Take the host of the URL", (Step(step="refang"), Step(step="url_part", options={"part": "host"}))),
    ("Take off the port", (Step(step="replace", options={"find": ":[0-9]{1,5}$", "replacement": "", "regex": True}),)),
    ("Lower case", (Step(step="lower"),)),
    ("Upper case", (Step(step="upper"),)),
    ("Take the number", (Step(step="extract", options={"regex": "[-+]?[0-9]+(?:[.][0-9]+)?"}),)),
    ("Read a number with thousands separators", (
        Step(step="replace", options={"find": "(?:,|'| |\\x{a0})", "replacement": "", "regex": True}),
    )),
    ("Read a decimal comma", (Step(step="replace", options={"find": ",", "replacement": "."}),)),
)  # fmt: skip

_DATES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Read ISO dates too", ("iso",)),
    ("Read day-first dates too", ("%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%d/%m/%Y", "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M",
                                  "%d.%m.%Y", "%d-%m-%Y")),
    ("Read month-first dates too", ("%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%m/%d/%Y", "%m-%d-%Y")),
    ("Read dates with month names too", ("%d %b %Y", "%d-%b-%Y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y", "%a, %d %b %Y %H:%M:%S")),
    ("Read seconds since 1970 too", ("epoch",)),
    ("Read milliseconds since 1970 too", ("epoch_ms",)),
)  # fmt: skip


def explanation(rule: str, field: str | None, reason: str) -> str:
    """Why rows with this cause are in quarantine, in plain words."""
    _, _, mark = rule.rpartition(":")
    name = field or "a value"
    if rule == "readable":
        return f"These lines could not be read as rows ({reason}). Their neighbours are not affected."
    told = {
        "required": f"Every record needs {name}, and these rows give none.",
        "kind": f"What stands in these rows is not a valid value for {name}.",
        "type": f"What stands in these rows can't be read as the type of {name}.",
        "vocabulary": f"{name} takes agreed words only, and these rows have others.",
        "expression": f"The expression for {name} can't be computed on these rows.",
    }
    return told.get(mark, f"The rule “{rule}” does not hold in these rows: {reason}.")


def mapping_for(pipeline: Pipeline, reject: Reject) -> Mapping | None:
    """The mapping of the pipeline that made the reject, or the one in its place now."""
    same = next((m for m in pipeline.mappings if address(m) == reject.mapping), None)
    return same or (pipeline.mappings[0] if len(pipeline.mappings) == 1 else None)


def field_mapping(mapping: Mapping | None, field: str | None) -> FieldMapping | None:
    """How a target field is mapped, if it is."""
    return next((f for f in mapping.fields if f.field == field), None) if mapping else None


def proposals(
    desk: Desk, pipeline: Pipeline, shape: Shape, model: TargetModel | None, rejects: Sequence[Reject]
) -> list[Proposal]:
    """Fixes that make examples of one cause pass, the most effective first, at most three."""
    sample = list(rejects[:TRIED])
    if not sample:
        return []
    found: list[Proposal] = []
    for title, fix in _candidates(desk, pipeline, shape, model, sample):
        try:
            proposal = _tried(desk, pipeline, shape, sample, title, fix)
        except Stop:
            # A candidate that doesn't fit this field is no proposal.
            continue
        if proposal is not None:
            found.append(proposal)
            if proposal.repairs == proposal.tried:
                break
    return sorted(found, key=lambda p: -p.repairs)[:3]


def _candidates(
    desk: Desk, pipeline: Pipeline, shape: Shape, model: TargetModel | None, sample: list[Reject]
) -> Iterator[tuple[str, Fix]]:
    first = sample[0]
    if first.rule == "readable":
        yield "Fill up short lines, join surplus columns into the last", PadFix()
        return
    mapping = mapping_for(pipeline, first)
    how = field_mapping(mapping, first.field)
    if how is None or how.source is None or first.rule.endswith(":required"):
        return
    mark = first.rule.rpartition(":")[2]
    if mark == "vocabulary" and model is not None:
        fix = _known_words(desk, shape, model, how, sample)
        if fix is not None:
            yield "Map these values to the agreed words", fix
    for title, formats in _DATES:
        steps = _with_dates(how, formats)
        if steps is not None:
            yield title, MappingFix(field=how.field, steps=steps)
    if mark not in ("vocabulary", "expression"):
        for title, chain in _TEXT_FIXES:
            yield title, StepFix(field=how.source, steps=list(chain))


def _with_dates(how: FieldMapping, formats: tuple[str, ...]) -> list[Step] | None:
    """The field's steps with more date formats, where it reads dates at all."""
    steps: list[Step] = []
    found = False
    for step in how.steps:
        if step.step == "parse_date":
            found = True
            known = step.options.get("formats", "iso")
            listed = [known] if isinstance(known, str) else list(known)
            more = [f for f in formats if f not in listed]
            if not more:
                return None
            step = step.model_copy(update={"options": {**step.options, "formats": [*listed, *more]}})
        steps.append(step)
    return steps if found else None


def _known_words(
    desk: Desk, shape: Shape, model: TargetModel, how: FieldMapping, sample: list[Reject]
) -> MapFix | None:
    vocabulary = VOCABULARIES.get(model.field(how.field).vocabulary or "")
    if vocabulary is None or how.source is None:
        return None
    words = vocabulary.words()
    values = {row.get(how.source) for row in values_of(desk, shape, sample).values()}
    pairs: dict[str, str] = {}
    for value in sorted(v for v in values if v):
        near = process.extractOne(value.lower(), list(words), scorer=fuzz.WRatio, score_cutoff=_CLOSE)
        if near is not None:
            pairs[value] = words[near[0]]
    return MapFix(field=how.source, values=pairs) if pairs else None


def _tried(
    desk: Desk, pipeline: Pipeline, shape: Shape, sample: list[Reject], title: str, fix: Fix
) -> Proposal | None:
    if isinstance(fix, MappingFix):
        mapping = mapping_for(pipeline, sample[0])
        if mapping is None:
            return None
        good = passing(desk, in_mapping(pipeline, mapping, fix), shape, sample)
        return Proposal(title=title, fix=fix, repairs=len(good), tried=len(sample)) if good else None
    changed = mended(desk, shape, sample, fix)
    if not changed:
        return None
    fixed = [replace(reject, fixed=changed[reject.id]) for reject in sample if reject.id in changed]
    good = passing(desk, pipeline, shape, fixed)
    if not good:
        return None
    example = next(reject for reject in fixed if reject.id in good)
    before, after = (
        example.raw.decode(errors="backslashreplace"),
        (example.fixed or b"").decode(errors="backslashreplace"),
    )
    if isinstance(fix, StepFix | MapFix):
        original = next(reject for reject in sample if reject.id == example.id)
        before = values_of(desk, shape, [original]).get(example.id, {}).get(fix.field) or before
        after = values_of(desk, shape, [example]).get(example.id, {}).get(fix.field) or after
    return Proposal(title=title, fix=fix, repairs=len(good), tried=len(sample), before=before, after=after)
