"""Proposing: for a cause of rejects, the fixes that were tried on examples and work."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from rapidfuzz import fuzz, process

from app.tenant.desk import Desk
from app.tenant.loading import plan_of
from app.tenant.repairing import TEXT, WAYS, computed, mended, one_field, passing, values_of, written
from app.tenant.schemas.rejects import MapFix, MappingFix, PadFix, Proposal, ReplayFix, StepFix
from engine.errors import Stop
from engine.mapping import address
from engine.model import FieldMapping, FieldType, Mapping, Pipeline, Shape, Step, TargetModel
from engine.types import VOCABULARIES
from storage import definitions
from storage.quarantine import Reject

TRIED = 25
_CLOSE = 70
_FEW_WORDS = 5

TEXT_FIXES: tuple[tuple[str, tuple[Step, ...]], ...] = (
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

DATE_FIXES: tuple[tuple[str, tuple[str, ...]], ...] = (
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
    name = f"“{field}”" if field else "a value"
    if rule.startswith("drift:"):
        changed = f"The source is not as it was when its mapping was made: {reason}."
        return (
            f"{changed} Let the mapping follow it where the run tells of the change, or correct these rows."
        )
    if rule == "readable":
        return f"These lines could not be read as rows ({reason}). Their neighbours are not affected."
    told = {
        "required": f"Every record needs {name}, and these rows give none.",
        "kind": f"What stands in these rows does not fit the target field {name}.",
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
    """Fixes after which examples of one cause no longer have it, the most effective first, at most three.

    They are tried once for rows of the same bytes: a feed that comes daily brings its broken rows daily.
    """
    sample = list(rejects[:TRIED])
    if not sample:
        return []
    with desk.store.cursor() as cursor:
        models = definitions.revision(cursor, "target")
    stored = (desk.store.acts, desk.store.batches) if _looks_up(pipeline) else ()
    asked = hashlib.sha256(f"{pipeline!r} {shape!r} {model!r} {models} {stored}".encode())
    for r in sample:
        told = (r.mapping, r.form, r.raw, r.fixed, r.rule, r.field, r.reason, r.checks, r.columns)
        asked.update(repr(told).encode())
    return list(
        desk.answers.once(
            ("proposals", asked.digest()), lambda: _worked(desk, pipeline, shape, model, sample)
        )
    )


def _looks_up(pipeline: Pipeline) -> bool:
    """Whether what a row becomes also depends on the records there are."""
    return any(
        rule.operator in ("reference", "unique") for mapping in pipeline.mappings for rule in mapping.rules
    ) or any(
        step.step == "lookup" for mapping in pipeline.mappings for how in mapping.fields for step in how.steps
    )


def _worked(
    desk: Desk, pipeline: Pipeline, shape: Shape, model: TargetModel | None, sample: list[Reject]
) -> list[Proposal]:
    if sample[0].rule == "readable":
        return _padding(desk, pipeline, shape, sample)
    mapping = mapping_for(pipeline, sample[0])
    how = field_mapping(mapping, sample[0].field)
    if mapping is None or how is None or how.source is None or model is None:
        return []
    try:
        now = passing(desk, one_field(desk, mapping, how.field), shape, sample)
        found = [
            Proposal(title="Replay: the mapping has changed since", fix=ReplayFix(), repairs=len(now), tried=len(sample))
        ] if now else []  # fmt: skip
        sample = [reject for reject in sample if reject.id not in now]
        last: list[Proposal] = []
        if sample:
            found += _words(desk, shape, mapping, how, model, sample)
            found += _other_steps(desk, shape, how, model, sample)
            found += _text_fixes(desk, shape, mapping, how, sample)
            last = _emptied(desk, shape, mapping, how, model, sample)
    except Stop:
        # What can't be tried on this field is no proposal.
        return []
    return [*sorted(found, key=lambda p: -p.repairs)[: 3 - len(last)], *last]


def _padding(desk: Desk, pipeline: Pipeline, shape: Shape, sample: list[Reject]) -> list[Proposal]:
    changed = mended(desk, plan_of(desk, pipeline), shape, sample, PadFix())
    if not changed:
        return []
    first = next(r for r in sample if r.id in changed)
    return [
        Proposal(
            title="Make the lines whole", fix=PadFix(), repairs=len(changed),
            tried=len(sample), before=_text(first.raw), after=_text(changed[first.id]),
        )
    ]  # fmt: skip


def _words(
    desk: Desk, shape: Shape, mapping: Mapping, how: FieldMapping, model: TargetModel, sample: list[Reject]
) -> list[Proposal]:
    """Values that are nearly agreed words, mapped to them."""
    vocabulary = VOCABULARIES.get(model.field(how.field).vocabulary or "")
    if vocabulary is None or how.source is None or not sample[0].rule.endswith(":vocabulary"):
        return []
    words = vocabulary.words()
    values = {row.get(how.source) for row in values_of(desk, shape, sample).values()}
    pairs: dict[str, str] = {}
    for value in sorted(v for v in values if v):
        near = process.extractOne(value.lower(), list(words), scorer=fuzz.WRatio, score_cutoff=_CLOSE)
        if near is not None:
            pairs[value] = words[near[0]]
    if not pairs:
        return []
    fix = MapFix(field=how.source, values=pairs)
    narrow = one_field(desk, mapping, how.field)
    changed = mended(desk, narrow, shape, sample, fix)
    fixed = [replace(r, fixed=changed[r.id]) for r in sample if r.id in changed]
    good = passing(desk, narrow, shape, fixed)
    told = [f"{before} → {after}" for before, after in pairs.items()]
    title = f"Map to agreed words: {', '.join(told[:5])}{' …' if len(told) > 5 else ''}"
    before, after = next(iter(pairs.items()))
    return (
        [Proposal(title=title, fix=fix, repairs=len(good), tried=len(sample), before=before, after=after)]
        if good
        else []
    )


def _other_steps(
    desk: Desk, shape: Shape, how: FieldMapping, model: TargetModel, sample: list[Reject]
) -> list[Proposal]:
    """Other steps in the mapping: more date formats, words for numbers."""
    offered: list[tuple[str, list[Step]]] = []
    spec = model.field(how.field)
    for title, formats in DATE_FIXES:
        steps = with_dates(how, formats, dated=spec.type in (FieldType.TIMESTAMP, FieldType.DATE))
        if steps is not None:
            offered.append((title, steps))
    if spec.type is FieldType.INTEGER and how.field in VOCABULARIES:
        words = Step(step="map", options={"vocabulary": how.field, "otherwise": "keep"})
        offered.append((f"Read words such as “high” as {how.field}", [words, *how.steps]))
    if not offered:
        return []
    ways = [how.model_copy(update={"steps": tuple(steps)}) for _, steps in offered]
    found = []
    for (title, steps), values in zip(offered, computed(desk, shape, sample, spec, ways), strict=True):
        if values:
            example = next(iter(values))
            before = values_of(desk, shape, [r for r in sample if r.id == example])[example].get(
                str(how.source)
            )
            fix = MappingFix(field=how.field, steps=steps)
            found.append(
                Proposal(title=title, fix=fix, repairs=len(values), tried=len(sample), before=before,
                         after=str(values[example]))
            )  # fmt: skip
    return found


def _text_fixes(
    desk: Desk, shape: Shape, mapping: Mapping, how: FieldMapping, sample: list[Reject]
) -> list[Proposal]:
    """Steps on the source's text, all tried together."""
    source = str(how.source)
    rows = values_of(desk, shape, sample)
    ways = [FieldMapping(field="value", source=source, steps=chain) for _, chain in TEXT_FIXES]
    after = computed(desk, shape, sample, TEXT, ways)
    attempts: list[Reject] = []
    for n, values in enumerate(after):
        for reject in sample:
            new = values.get(reject.id)
            if new is not None and reject.id in rows and new != rows[reject.id].get(source):
                changed = {**rows[reject.id], source: str(new)}
                raw = written(shape, reject, changed, {source: str(new)})
                attempts.append(replace(reject, id=reject.id * WAYS + n, fixed=raw))
    good = passing(desk, one_field(desk, mapping, how.field), shape, attempts) if attempts else set()
    found = []
    for n, (title, chain) in enumerate(TEXT_FIXES):
        repaired = [id // WAYS for id in sorted(good) if id % WAYS == n]
        if repaired:
            first = repaired[0]
            fix = StepFix(field=source, steps=list(chain))
            found.append(
                Proposal(title=title, fix=fix, repairs=len(repaired), tried=len(sample),
                         before=rows[first].get(source), after=str(after[n][first]))
            )  # fmt: skip
    return found


def _emptied(
    desk: Desk, shape: Shape, mapping: Mapping, how: FieldMapping, model: TargetModel, sample: list[Reject]
) -> list[Proposal]:
    """Words that stand for no value, taken as none: for a field that may be empty, where the words are few."""
    source = str(how.source)
    rows = values_of(desk, shape, sample)
    values = sorted({row.get(source) or "" for row in rows.values()} - {""})
    if model.field(how.field).required or not 0 < len(values) <= _FEW_WORDS:
        return []
    fix = MapFix(field=source, values=dict.fromkeys(values, ""))
    narrow = one_field(desk, mapping, how.field)
    changed = mended(desk, narrow, shape, sample, fix)
    good = passing(desk, narrow, shape, [replace(r, fixed=changed[r.id]) for r in sample if r.id in changed])
    if not good:
        return []
    told = ", ".join(f"“{value}”" for value in values)
    title = f"Leave {how.field} empty where it says {told}"
    return [Proposal(title=title, fix=fix, repairs=len(good), tried=len(sample), before=values[0], after="")]


def with_dates(how: FieldMapping, formats: tuple[str, ...], *, dated: bool) -> list[Step] | None:
    """The field's steps with more date formats, where it reads dates or is one."""
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
    if dated and not found and formats != ("iso",):
        return [*steps, Step(step="parse_date", options={"formats": ["iso", *formats]})]
    return steps if found else None


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace").rstrip("\r\n")
