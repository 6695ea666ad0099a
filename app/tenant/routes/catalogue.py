"""The catalogue: connectors, samples, steps, kinds and vocabularies on offer, and what is in this tenant."""

from __future__ import annotations

from fastapi import APIRouter

from app.tenant.caller import Here
from app.tenant.schemas.catalogue import (
    ConnectorView,
    KindView,
    SampleView,
    StepView,
    TenantState,
    VocabularyView,
)
from app.tenant.schemas.rules import OperatorView
from connectors import CONNECTORS, samples
from engine.rules import OPERATORS
from engine.rulewords import SENTENCES
from engine.steps import STEPS
from engine.types import KINDS, VOCABULARIES
from storage import definitions, glance, runs

router = APIRouter(tags=["catalogue"])


@router.get("/connectors")
def connectors() -> list[ConnectorView]:
    """The kinds of source on offer, each with the JSON Schema of its configuration."""
    return [
        ConnectorView(
            name=c.name,
            title=c.title,
            summary=c.summary,
            config=c.config.model_json_schema(),
            capabilities=sorted(c.capabilities),
            browse=c.browses,
        )
        for c in CONNECTORS.values()
    ]


@router.get("/samples")
def list_samples() -> list[SampleView]:
    """The built-in samples: make a source of one with the connector `sample`."""
    return [SampleView.model_validate(each) for each in samples()]


@router.get("/steps")
def steps() -> list[StepView]:
    """The steps a value can go through, with the JSON Schema of their options."""
    return [
        StepView(
            name=s.name,
            title=s.title,
            summary=s.summary,
            group=s.group,
            takes=s.takes.value,
            options=s.schema(),
        )
        for s in STEPS.values()
    ]


@router.get("/operators")
def operators() -> list[OperatorView]:
    """The kinds of rule, each as a sentence with its options in their places."""
    return [
        OperatorView(
            name=o.name,
            title=o.title,
            summary=o.summary,
            sentence=SENTENCES[o.name],
            scope=o.scope,
            needs_field=o.needs_field,
            options=o.options.model_json_schema(),
        )
        for o in OPERATORS.values()
    ]


@router.get("/kinds")
def kinds() -> list[KindView]:
    """The kinds of value that are recognised, checked and made canonical."""
    return [KindView(name=k.name, title=k.title, description=k.description) for k in KINDS.values()]


@router.get("/vocabularies")
def vocabularies() -> list[VocabularyView]:
    """The vocabularies fields agree on."""
    return [
        VocabularyView(name=v.name, values=list(v.values), synonyms=dict(v.synonyms), open=v.open)
        for v in VOCABULARIES.values()
    ]


@router.get("/state")
def state(desk: Here) -> TenantState:
    """What there is in this tenant, in figures."""
    cursor = desk.store.cursor()
    last = runs.recent(cursor, limit=1)
    return TenantState(
        tenant=desk.tenant,
        sources=len(definitions.all_latest(cursor, "source")),
        pipelines=len(definitions.all_latest(cursor, "pipeline")),
        records={name: n for name, n in glance.counts(cursor).items() if n},
        open_rejects=glance.open_rejects(cursor),
        running=sorted(desk.live),
        last_run=last[0].run if last else None,
    )
