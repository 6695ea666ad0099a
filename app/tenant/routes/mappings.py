"""Mappings: suggested, tried on a sample, and compared with what is stored."""

from __future__ import annotations

from fastapi import APIRouter, Response

from app.tenant import (
    comparing,
    drift_patching,
    following,
    journal,
    offering,
    ruling,
    suggesting,
    texts,
    trying,
    valuing,
)
from app.tenant.answering import answered
from app.tenant.caller import Here, Who
from app.tenant.desk import source, targets
from app.tenant.schemas.chains import FieldRequest, Offers, Readings, ReadingsRequest, Trace, TraceRequest
from app.tenant.schemas.mappings import (
    ChangeView,
    DifferenceRequest,
    Impact,
    ImpactRequest,
    MappingPreview,
    MappingText,
    PreviewRequest,
    ReadMappings,
    ReadRequest,
    Suggestions,
    SuggestRequest,
    TextRequest,
)
from app.tenant.schemas.rules import Judgement, RuleOffers, RulesRequest, TryRules
from app.tenant.schemas.values import Values, ValuesRequest
from engine.compile import compile_plan
from storage.audit import ActionKind

router = APIRouter(tags=["mappings"])


@router.post("/suggest", response_model=Suggestions)
def suggest(body: SuggestRequest, desk: Here, who: Who) -> Response:
    """Mappings for a source, every pair with its score, its reasons and the runner-up."""
    journal.note(desk, who, ActionKind.READ, "mapping.suggested", body.source)
    read = source(desk, body.source)
    return answered(
        desk, "suggest", read, body,
        lambda: suggesting.suggestions(desk, read, body.target), history=True,
    )  # fmt: skip


@router.post("/preview", response_model=MappingPreview)
def preview(body: PreviewRequest, desk: Here, who: Who) -> Response:
    """What mappings make of a sample: output beside input, and why a row would be rejected."""
    journal.note(desk, who, ActionKind.READ, "mapping.previewed", body.source)
    read = source(desk, body.source)
    guard = drift_patching.guard_of_preview(desk, body.pipeline, read) if body.pipeline else None
    asked = f"{body.model_dump_json(by_alias=True)} {guard.model_dump_json() if guard else ''}"
    return answered(
        desk, "preview", read, asked,
        lambda: trying.preview(desk, read, body.mappings, body.rows, guard=guard),
    )  # fmt: skip


@router.post("/impact")
def impact(body: ImpactRequest, desk: Here, who: Who) -> Impact:
    """Which stored records would differ under changed mappings, with examples."""
    journal.note(desk, who, ActionKind.READ, "mapping.compared", body.pipeline)
    return trying.compare(desk, body.pipeline, body.mappings, body.examples)


@router.post("/trace", response_model=Trace)
def trace(body: TraceRequest, desk: Here, who: Who) -> Response:
    """A field's value after every step, in one row, and how many rows of a sample each step changes or fails."""
    journal.note(desk, who, ActionKind.READ, "mapping.traced", body.source)
    read = source(desk, body.source)
    return answered(
        desk,
        "trace",
        read,
        body,
        lambda: following.follow(desk, read, body.mappings, body.at, body.field, body.rows, body.line),
    )


@router.post("/offers", response_model=Offers)
def offers(body: FieldRequest, desk: Here, who: Who) -> Response:
    """What could come next in a field's chain, and what would mend the rows that fail at it."""
    journal.note(desk, who, ActionKind.READ, "mapping.offered", body.source)
    read = source(desk, body.source)
    return answered(
        desk,
        "offers",
        read,
        body,
        lambda: offering.offers(desk, read, body.mappings, body.at, body.field, body.rows),
    )


@router.post("/readings", response_model=Readings)
def readings(body: ReadingsRequest, desk: Here, who: Who) -> Response:
    """How real values read under different chains: day first or month first, for one."""
    journal.note(desk, who, ActionKind.READ, "mapping.read", body.source)
    read = source(desk, body.source)
    return answered(
        desk,
        "readings",
        read,
        body,
        lambda: offering.readings(desk, read, body.target, body.field, body.origin, body.choices),
    )


@router.post("/values", response_model=Values)
def values(body: ValuesRequest, desk: Here, who: Who) -> Response:
    """The distinct values that reach a step of a field's chain, what each becomes, and near-duplicates."""
    journal.note(desk, who, ActionKind.READ, "mapping.valued", body.source)
    read = source(desk, body.source)
    return answered(
        desk, "values", read, body,
        lambda: valuing.values(
            desk, read, body.mappings, body.at, body.field,
            step=body.step, whole=body.all, rows=body.rows, most=body.most,
        ),
    )  # fmt: skip


@router.post("/rules/offers", response_model=RuleOffers)
def rule_offers(body: RulesRequest, desk: Here, who: Who) -> Response:
    """Rules that a sample's values speak for, each with how many rows it would catch now."""
    journal.note(desk, who, ActionKind.READ, "rules.offered", body.source)
    read = source(desk, body.source)
    return answered(
        desk, "rules", read, body, lambda: ruling.offers(desk, read, body.mappings, body.at, body.rows)
    )


@router.post("/rules/try", response_model=Judgement)
def try_rules(body: TryRules, desk: Here, who: Who) -> Response:
    """How rules would fare on a sample, in place of those the mapping has, with rows they catch."""
    journal.note(desk, who, ActionKind.READ, "rules.tried", body.source)
    read = source(desk, body.source)
    return answered(
        desk,
        "judgement",
        read,
        body,
        lambda: ruling.judge(desk, read, body.mappings, body.at, body.rules, body.rows),
    )


@router.post("/difference")
def difference(body: DifferenceRequest, desk: Here, who: Who) -> list[ChangeView]:
    """What changed in meaning from some mappings to others, in words."""
    journal.note(desk, who, ActionKind.READ, "mapping.differed")
    return comparing.differences(body.before, body.after)


@router.post("/mappings/text")
def text(body: TextRequest, desk: Here, who: Who) -> MappingText:
    """Mappings as YAML to keep, or as SQL to read and edit."""
    journal.note(desk, who, ActionKind.READ, "mapping.written")
    return MappingText(text=texts.mappings_text(body.mappings, body.format, targets(desk)))


@router.post("/mappings/read")
def read_text(body: ReadRequest, desk: Here, who: Who) -> ReadMappings:
    """The mappings a text holds, edits included. They are compiled first: what can't run is refused."""
    journal.note(desk, who, ActionKind.READ, "mapping.read_from_text")
    models = targets(desk)
    found = texts.mappings_of(body.text, models)
    compile_plan(found, models)
    return ReadMappings(mappings=list(found))
