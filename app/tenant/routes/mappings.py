"""Mappings: suggested, tried on a sample, and compared with what is stored."""

from __future__ import annotations

from fastapi import APIRouter

from app.tenant import comparing, following, journal, offering, ruling, suggesting, trying, valuing
from app.tenant.caller import Here, Who
from app.tenant.desk import source
from app.tenant.schemas.chains import FieldRequest, Offers, Readings, ReadingsRequest, Trace, TraceRequest
from app.tenant.schemas.mappings import (
    ChangeView,
    DifferenceRequest,
    Impact,
    ImpactRequest,
    MappingPreview,
    PreviewRequest,
    Suggestions,
    SuggestRequest,
)
from app.tenant.schemas.rules import Judgement, RuleOffers, RulesRequest, TryRules
from app.tenant.schemas.values import Values, ValuesRequest
from storage.audit import ActionKind

router = APIRouter(tags=["mappings"])


@router.post("/suggest")
def suggest(body: SuggestRequest, desk: Here, who: Who) -> Suggestions:
    """Mappings for a source, every pair with its score, its reasons and the runner-up."""
    journal.note(desk, who, ActionKind.READ, "mapping.suggested", body.source)
    return suggesting.suggestions(desk, source(desk, body.source), body.target)


@router.post("/preview")
def preview(body: PreviewRequest, desk: Here, who: Who) -> MappingPreview:
    """What mappings make of a sample: output beside input, and why a row would be rejected."""
    journal.note(desk, who, ActionKind.READ, "mapping.previewed", body.source)
    return trying.preview(desk, source(desk, body.source), body.mappings, body.rows)


@router.post("/impact")
def impact(body: ImpactRequest, desk: Here, who: Who) -> Impact:
    """Which stored records would differ under changed mappings, with examples."""
    journal.note(desk, who, ActionKind.READ, "mapping.compared", body.pipeline)
    return trying.compare(desk, body.pipeline, body.mappings, body.examples)


@router.post("/trace")
def trace(body: TraceRequest, desk: Here, who: Who) -> Trace:
    """A field's value after every step, in one row, and how many rows of a sample each step changes or fails."""
    journal.note(desk, who, ActionKind.READ, "mapping.traced", body.source)
    return following.follow(
        desk, source(desk, body.source), body.mappings, body.at, body.field, body.rows, body.line
    )


@router.post("/offers")
def offers(body: FieldRequest, desk: Here, who: Who) -> Offers:
    """What could come next in a field's chain, and what would mend the rows that fail at it."""
    journal.note(desk, who, ActionKind.READ, "mapping.offered", body.source)
    return offering.offers(desk, source(desk, body.source), body.mappings, body.at, body.field, body.rows)


@router.post("/readings")
def readings(body: ReadingsRequest, desk: Here, who: Who) -> Readings:
    """How real values read under different chains: day first or month first, for one."""
    journal.note(desk, who, ActionKind.READ, "mapping.read", body.source)
    return offering.readings(
        desk, source(desk, body.source), body.target, body.field, body.origin, body.choices
    )


@router.post("/values")
def values(body: ValuesRequest, desk: Here, who: Who) -> Values:
    """The distinct values that reach a step of a field's chain, what each becomes, and near-duplicates."""
    journal.note(desk, who, ActionKind.READ, "mapping.valued", body.source)
    return valuing.values(
        desk, source(desk, body.source), body.mappings, body.at, body.field,
        step=body.step, whole=body.all, rows=body.rows, most=body.most,
    )  # fmt: skip


@router.post("/rules/offers")
def rule_offers(body: RulesRequest, desk: Here, who: Who) -> RuleOffers:
    """Rules that a sample's values speak for, each with how many rows it would catch now."""
    journal.note(desk, who, ActionKind.READ, "rules.offered", body.source)
    return ruling.offers(desk, source(desk, body.source), body.mappings, body.at, body.rows)


@router.post("/rules/try")
def try_rules(body: TryRules, desk: Here, who: Who) -> Judgement:
    """How rules would fare on a sample, in place of those the mapping has, with rows they catch."""
    journal.note(desk, who, ActionKind.READ, "rules.tried", body.source)
    return ruling.judge(desk, source(desk, body.source), body.mappings, body.at, body.rules, body.rows)


@router.post("/difference")
def difference(body: DifferenceRequest, desk: Here, who: Who) -> list[ChangeView]:
    """What changed in meaning from some mappings to others, in words."""
    journal.note(desk, who, ActionKind.READ, "mapping.differed")
    return comparing.differences(body.before, body.after)
