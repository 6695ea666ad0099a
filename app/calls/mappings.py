"""Mappings, pipelines and their drafts: suggested, tried, saved, and watched for drift."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.calls.wire import Wire
from app.tenant.schemas.chains import Offers, Readings, Trace
from app.tenant.schemas.definitions import Version
from app.tenant.schemas.drafts import DraftHead, DraftView
from app.tenant.schemas.drift import DriftAccepted, DriftPatch, DriftView
from app.tenant.schemas.mappings import (
    ChangeView,
    Impact,
    MappingPreview,
    MappingText,
    ReadMappings,
    Suggestions,
)
from app.tenant.schemas.pipelines import PipelineLineage, PipelineView
from app.tenant.schemas.rules import Judgement, RuleOffers
from app.tenant.schemas.templates import Applied, TemplateView
from app.tenant.schemas.values import Values
from app.wire import plain, read
from engine.model import Mapping


class Mappings(Wire):
    """Mappings, pipelines and their drafts: suggested, tried, saved, and watched for drift."""

    # Mappings and pipelines

    def suggest(self, source: str, target: str | None = None) -> Suggestions:
        return self.post("/suggest", Suggestions, {"source": source, "target": target})

    def preview(
        self, source: str, mappings: Sequence[Any], rows: int = 200, *, pipeline: str | None = None
    ) -> MappingPreview:
        """With a pipeline, under its contract."""
        body = {"source": source, "mappings": list(mappings), "rows": rows, "pipeline": pipeline}
        return self.post("/preview", MappingPreview, body)

    def trace(
        self, source: str, mappings: Sequence[Any], field: str, *, at: int = 0, line: int | None = None
    ) -> Trace:
        """The way of a field's values, step by step; `line` names the row to show."""
        body = {"source": source, "mappings": list(mappings), "at": at, "field": field, "line": line}
        return self.post("/trace", Trace, body)

    def offers(self, source: str, mappings: Sequence[Any], field: str, *, at: int = 0) -> Offers:
        """What could come next in a field's chain, and what would mend its failing rows."""
        body = {"source": source, "mappings": list(mappings), "at": at, "field": field}
        return self.post("/offers", Offers, body)

    def readings(self, source: str, target: str, field: str, origin: str, choices: Sequence[Any]) -> Readings:
        """How values of a source field read under different chains."""
        body = {"source": source, "target": target, "field": field, "from": origin, "choices": list(choices)}
        return self.post("/readings", Readings, body)

    def values(
        self,
        source: str,
        mappings: Sequence[Any],
        field: str,
        *,
        at: int = 0,
        step: int | None = None,
        whole: bool = False,
    ) -> Values:
        """The distinct values that reach a step, what each becomes, and near-duplicates among them."""
        body = {"source": source, "mappings": list(mappings), "at": at, "field": field, "step": step}
        return self.post("/values", Values, {**body, "all": whole})

    def rule_offers(self, source: str, mappings: Sequence[Any], *, at: int = 0) -> RuleOffers:
        """Rules the values speak for, with what each would catch now."""
        return self.post(
            "/rules/offers", RuleOffers, {"source": source, "mappings": list(mappings), "at": at}
        )

    def try_rules(
        self, source: str, mappings: Sequence[Any], rules: Sequence[Any], *, at: int = 0
    ) -> Judgement:
        """How rules would fare on a sample, in place of the mapping's own."""
        body = {"source": source, "mappings": list(mappings), "at": at, "rules": list(rules)}
        return self.post("/rules/try", Judgement, body)

    def difference(self, before: Sequence[Any], after: Sequence[Any]) -> list[ChangeView]:
        """What changed in meaning between mappings, in words."""
        return self.post("/difference", list[ChangeView], {"before": list(before), "after": list(after)})

    def impact(self, pipeline: str, mappings: Sequence[Any], examples: int = 10) -> Impact:
        body = {"pipeline": pipeline, "mappings": list(mappings), "examples": examples}
        return self.post("/impact", Impact, body)

    def mappings_text(self, mappings: Sequence[Any], format: str = "yaml") -> str:
        """Mappings as YAML, or as SQL to read and edit."""
        body = {"mappings": list(mappings), "format": format}
        return self.post("/mappings/text", MappingText, body).text

    def read_mappings(self, text: str) -> list[Mapping]:
        """What mappings a text holds, edits included."""
        return self.post("/mappings/read", ReadMappings, {"text": text}).mappings

    def pipelines(self) -> list[PipelineView]:
        return self.get("/pipelines", list[PipelineView])

    def pipeline(self, id: str, version: int | None = None) -> PipelineView:
        return self.get(f"/pipelines/{id}" + (f"/versions/{version}" if version else ""), PipelineView)

    def create_pipeline(self, **fields: Any) -> PipelineView:
        """The fields of `PipelineCreate`."""
        return self.post("/pipelines", PipelineView, fields)

    def replace_pipeline(self, id: str, **fields: Any) -> PipelineView:
        """The fields of `PipelineChange`."""
        return read(self.request("PUT", f"/pipelines/{id}", json=plain(fields)), PipelineView)

    def delete_pipeline(self, id: str) -> None:
        self.request("DELETE", f"/pipelines/{id}")

    def pipeline_versions(self, id: str) -> list[Version]:
        return self.get(f"/pipelines/{id}/versions", list[Version])

    def export_pipeline(self, id: str, format: str = "yaml") -> str:
        return self.request("GET", f"/pipelines/{id}/export", params={"format": format}).text

    def import_pipeline(self, text: str) -> PipelineView:
        """From the YAML or the SQL an export gave."""
        headers = {"content-type": "application/yaml"}
        return read(
            self.request("POST", "/pipelines/import", content=text.encode(), headers=headers), PipelineView
        )

    def pipeline_lineage(self, id: str) -> PipelineLineage:
        return self.get(f"/pipelines/{id}/lineage", PipelineLineage)

    # Templates

    def templates(self) -> list[TemplateView]:
        return self.get("/templates", list[TemplateView])

    def create_template(self, **fields: Any) -> TemplateView:
        """The fields of `TemplateCreate`."""
        return self.post("/templates", TemplateView, fields)

    def replace_template(self, id: str, **fields: Any) -> TemplateView:
        """The fields of `TemplateChange`."""
        return read(self.request("PUT", f"/templates/{id}", json=plain(fields)), TemplateView)

    def delete_template(self, id: str) -> None:
        self.request("DELETE", f"/templates/{id}")

    def apply_template(self, id: str, source: str) -> Applied:
        """What a template makes of a source; nothing is saved."""
        return self.post(f"/templates/{id}/apply", Applied, {"source": source})

    # Drift

    def drift(self, pipeline: str) -> DriftView | None:
        """How a pipeline's source differs from what its mapping was written for; None where nobody need answer."""
        answer = self.request("GET", f"/pipelines/{pipeline}/drift")
        return DriftView.model_validate(answer.json()) if answer.json() else None

    def try_drift(self, pipeline: str, run: int) -> DriftPatch:
        """The mapping that follows what a run found, and what it makes of that run's payload."""
        return self.post(f"/pipelines/{pipeline}/drift/{run}/try", DriftPatch)

    def accept_drift(
        self, pipeline: str, run: int, based_on: int | None = None, **wish: Any
    ) -> DriftAccepted:
        """The further fields of `DriftAccept`: replay, wait."""
        body = {"run": run, "based_on": based_on, **wish}
        return self.post(f"/pipelines/{pipeline}/drift/accept", DriftAccepted, body)

    def dismiss_drift(self, pipeline: str, run: int) -> None:
        self.request("POST", f"/pipelines/{pipeline}/drift/dismiss", json={"run": run})

    def change_contract(self, pipeline: str, contract: Any, based_on: int | None = None) -> PipelineView:
        """What a run does where its source has changed: new_fields, type_changes, vanished_fields."""
        body = {"contract": contract, "based_on": based_on}
        return read(self.request("PUT", f"/pipelines/{pipeline}/contract", json=plain(body)), PipelineView)

    # Drafts

    def drafts(self) -> list[DraftHead]:
        return self.get("/drafts", list[DraftHead])

    def draft(self, subject: str, known: int | None = None) -> DraftView:
        """The draft of `pipeline:<id>` or `source:<id>`, without its content where revision `known` stands."""
        return self.get(f"/drafts/{subject}", DraftView, known=known)

    def put_draft(self, subject: str, content: Any, based_on: int) -> DraftHead:
        """One edit, on top of a revision; 0 begins the draft."""
        body = {"content": content, "based_on": based_on}
        return read(self.request("PUT", f"/drafts/{subject}", json=plain(body)), DraftHead)

    def undo_draft(self, subject: str, based_on: int) -> DraftView:
        return self.post(f"/drafts/{subject}/undo", DraftView, {"based_on": based_on})

    def redo_draft(self, subject: str, based_on: int) -> DraftView:
        return self.post(f"/drafts/{subject}/redo", DraftView, {"based_on": based_on})

    def open_draft(self, subject: str) -> DraftHead:
        """Say that it is open here, and hear where it stands."""
        return self.post(f"/drafts/{subject}/here", DraftHead)

    def end_draft(self, subject: str, based_on: int | None = None) -> None:
        self.request("DELETE", f"/drafts/{subject}", params={"based_on": based_on})
