"""Suggest: a ready mapping of a profiled source onto a target model, every pair with its reasons."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from engine import types
from engine.model import FieldMapping, FieldType, Mapping, Step, TargetField, TargetModel
from engine.profile import Column, Profile
from engine.suggest.assignment import assign
from engine.suggest.chain import Chain, chain, day_first
from engine.suggest.facts import Accepted, Candidate, FieldSuggestion, Suggestion
from engine.suggest.identity import identify
from engine.suggest.pairs import Scorer, feeds, ranked
from engine.suggest.values import INDICATOR_KINDS, main_kind

THRESHOLD = 60
# Below this a pair is noise, not an offer.
_SHOWN = 25

# What the value of an indicator feeds besides `value`, where no source field does: the step that gets it there.
_DERIVED = {"original": "", "value_type": "recognise", "pattern": "pattern_from", "id": "stix_id"}


def suggest(
    profile: Profile, target: TargetModel, history: Iterable[Accepted] = (), *, threshold: int = THRESHOLD
) -> Suggestion:
    """The mapping we propose, and for each target field the best source field, its score and the runner-up.

    Pairs below `threshold` are shown and not mapped. The result depends on the columns' names and
    contents, never on their order.
    """
    scorer = Scorer(profile, target, history)
    wanted = [field for field in target.fields if feeds(field)]
    table = [scorer.candidates(field) for field in wanted]
    chosen = assign([[_worth(candidate, weight, threshold) for candidate, weight in row] for row in table])
    days = day_first(profile.columns)
    found: dict[str, FieldSuggestion] = {}
    notes: list[str] = []
    for field, weighed, at in zip(wanted, table, chosen, strict=True):
        row = [candidate for candidate, _ in weighed]
        order = ranked([c for c in row if c.score >= _SHOWN])
        assigned = at is not None and row[at].score >= threshold
        best = row[at] if at is not None and assigned else next(iter(order), None)
        runner = next((c for c in order if c is not best), None)
        if best and not assigned and best.score >= threshold:
            best = best.model_copy(update={"reasons": (*best.reasons, "but it suits another field better")})
        road = chain(profile.column(best.source), field, days) if best else Chain()
        accepted = assigned and not road.choices
        found[field.name] = FieldSuggestion(
            field=field.name, required=field.required, best=best, runner_up=runner, accepted=accepted,
            steps=road.steps, sql=road.sql, choices=road.choices,
        )  # fmt: skip
        if best and assigned and road.choices:
            notes.append(
                f"{best.source}: is the day first or the month? The values allow both, so please choose."
            )
        elif accepted and best and road.note:
            notes.append(f"{best.source}: {road.note}.")
    for field in target.fields:
        found.setdefault(field.name, FieldSuggestion(field=field.name, required=field.required))
    _share(profile, target, table, found, threshold)
    _derive(profile, target, found)
    notes += identify(target, found)
    notes += _side_by_side(profile, found)
    notes += [
        f"{c.name}: {c.mangled:,} values look mangled by a spreadsheet." for c in profile.columns if c.mangled
    ]
    return _finished(profile, target, [found[field.name] for field in target.fields], notes)


def _worth(candidate: Candidate, weight: float, threshold: int) -> float:
    """Squared, so that one sure pair outweighs two doubtful ones; what won't be mapped must not get in the way."""
    if candidate.score < _SHOWN:
        return 0.0
    return weight**2 * (1.0 if candidate.score >= threshold else 0.01)


def suggest_target(
    profile: Profile, targets: Iterable[TargetModel], history: Iterable[Accepted] = ()
) -> list[Suggestion]:
    """A suggestion for each target model, the one that suits the source best first."""
    remembered = tuple(history)
    found = [suggest(profile, target, remembered) for target in targets]
    return sorted(found, key=lambda suggestion: (-suggestion.fit, suggestion.target))


def _share(
    profile: Profile,
    target: TargetModel,
    table: Sequence[Sequence[tuple[Candidate, float]]],
    found: dict[str, FieldSuggestion],
    threshold: int,
) -> None:
    """Give an indicator's value, if it got nothing, the best column although that feeds another field as well."""
    fields = [field for field in target.fields if feeds(field)]
    for field, weighed in zip(fields, table, strict=True):
        if (
            field.kind != "indicator"
            or found[field.name].accepted
            or found.get("pattern", found[field.name]).accepted
        ):
            continue
        order = ranked([candidate for candidate, _ in sorted(weighed, key=lambda pair: -pair[1])])
        if order and order[0].score >= threshold:
            found[field.name] = FieldSuggestion(
                field=field.name, required=field.required, best=order[0], accepted=True,
                runner_up=order[1] if len(order) > 1 and order[1].score >= _SHOWN else None,
                steps=chain(profile.column(order[0].source), field).steps,
            )  # fmt: skip


def _derive(profile: Profile, target: TargetModel, found: dict[str, FieldSuggestion]) -> None:
    """Let the indicator's value feed what can be worked out from it, told its kind by the column that names it."""
    value = found.get("value")
    if value is None or not value.accepted or value.best is None or target.field("value").kind != "indicator":
        return
    kinded = _kind_named(profile, target, found["value_type"]) if "value_type" in found else {}
    if kinded:
        steps = tuple(
            Step(step="canonical", options=kinded) if step.step == "canonical" else step
            for step in value.steps
        )
        found["value"] = value.model_copy(update={"steps": steps})
    named = found.get("value_type")
    if named is not None and named.accepted and profile.column(value.best.source).shapes.get("ipv6"):
        # Most words for an address are of either version.
        version = Step(step="ip_version", options={"value_field": value.best.source})
        found["value_type"] = named.model_copy(update={"steps": (*named.steps, version)})
    blanks = tuple(step for step in value.steps if step.step == "null_if")
    best = Candidate(source=value.best.source, score=value.best.score, reasons=("worked out from the value",))
    for name, step in _DERIVED.items():
        if name not in found or found[name].accepted:
            continue
        found[name] = FieldSuggestion(
            field=name, required=found[name].required, best=best, runner_up=found[name].best or found[name].runner_up,
            accepted=True, derived=True, steps=(*blanks, Step(step=step, options=kinded)) if step else (),
        )  # fmt: skip
    if found["pattern"].derived and not found["pattern_type"].accepted:
        found["pattern_type"] = found["pattern_type"].model_copy(
            update={"constant": "stix", "accepted": True, "derived": True, "steps": ()}
        )


def _kind_named(profile: Profile, target: TargetModel, kind: FieldSuggestion) -> dict[str, str]:
    """Options that name the column with the kinds, if the vocabulary knows its every word as it stands."""
    vocabulary = target.field("value_type").vocabulary
    if not kind.accepted or kind.derived or kind.steps or kind.best is None or vocabulary is None:
        return {}
    column = profile.column(kind.best.source)
    words = types.VOCABULARIES[vocabulary].words()
    if not all(sample.strip().lower() in words for sample in column.samples):
        return {}
    return {"kind_field": kind.best.source, "vocabulary": vocabulary}


def _side_by_side(profile: Profile, found: dict[str, FieldSuggestion]) -> list[str]:
    value = found.get("value")
    if value is None or not value.accepted or value.best is None:
        return []
    others = [
        column
        for column in profile.columns
        if column.name != value.best.source
        and INDICATOR_KINDS.get(main_kind(column), 0) == 1
        and column.type in (*INDICATOR_KINDS, "indicator")
        and not any(f.accepted and f.best and f.best.source == column.name for f in found.values())
    ]
    if not others:
        return []
    names = ", ".join(sorted(column.name for column in others))
    return [
        f"Each row holds several indicators: {value.best.source} was taken as the one it is about, besides {names}."
    ]


def _finished(
    profile: Profile, target: TargetModel, fields: Sequence[FieldSuggestion], notes: Sequence[str]
) -> Suggestion:
    mapped = [_mapped(f) for f in fields if f.accepted]
    used = {f.best.source for f in fields if f.accepted and f.best}
    missing = tuple(f.field for f in fields if f.required and not f.accepted)
    return Suggestion(
        target=target.name,
        fields=tuple(fields),
        mapping=Mapping(target=target.name, fields=tuple(mapped)),
        missing=missing,
        unused=tuple(column.name for column in profile.columns if column.name not in used),
        notes=tuple(notes),
        fit=_fit(profile.columns, target, fields),
    )


def _mapped(f: FieldSuggestion) -> FieldMapping:
    if f.constant is not None:
        return FieldMapping(field=f.field, constant=f.constant)
    if f.sql is not None:
        return FieldMapping(field=f.field, sql=f.sql)
    assert f.best is not None  # noqa: S101  only fields with a best source are accepted
    return FieldMapping(field=f.field, source=f.best.source, steps=f.steps)


def _fit(columns: Sequence[Column], target: TargetModel, fields: Sequence[FieldSuggestion]) -> int:
    """How well the target suits: how much of the source it has a place for, less where its key stays empty."""
    direct = [f for f in fields if f.accepted and f.best and not f.derived]
    if not direct or not columns:
        return 0
    told = sum(f.best.score * _tells(target.field(f.field)) for f in direct if f.best)
    placed = sum(f.best.score for f in direct if f.best) / len(columns)
    accepted = {f.field for f in fields if f.accepted}
    needed = {*target.key, *(f.name for f in target.fields if f.required or f.kind == "indicator")} - {"id"}
    if "pattern" in accepted:
        needed -= {"value"}
    lacking = len(needed - accepted)
    score = 0.6 * min(100.0, placed) + 0.4 * min(100.0, told / 3)
    return max(0, round(score * 0.6 ** min(lacking, 3)))


def _tells(field: TargetField) -> float:
    """How much a field being found says for its target: a date or a name is found anywhere."""
    if field.kind in ("cve", "cwe"):
        return 2.0
    if field.kind:
        return 1.3
    return (
        0.4
        if field.type in (FieldType.TIMESTAMP, FieldType.DATE) or field.name in ("name", "description")
        else 0.8
    )
