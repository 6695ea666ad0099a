"""Sources, and what there is to connect, map and check with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.calls.wire import Wire
from app.tenant.schemas.browse import Browsed
from app.tenant.schemas.catalogue import (
    ConnectorView,
    KindView,
    ProposedModel,
    SampleView,
    StepView,
    TargetView,
    TenantState,
    VocabularyView,
)
from app.tenant.schemas.feeds import AnswerView, FeedView
from app.tenant.schemas.rules import OperatorView
from app.tenant.schemas.sources import (
    CheckResult,
    SourceOutline,
    SourcePreview,
    SourceProfile,
    SourceRows,
    SourceView,
)
from app.tenant.schemas.standing import Counts, Standing
from app.wire import plain, read


class Sources(Wire):
    """Sources, and what there is to connect, map and check with."""

    # Sources

    def sources(self) -> list[SourceView]:
        return self.get("/sources", list[SourceView])

    def source(self, id: str) -> SourceView:
        return self.get(f"/sources/{id}", SourceView)

    def create_source(self, **fields: Any) -> SourceView:
        """The fields of `SourceCreate`: payload, text, or connector and config; name, id, format."""
        return self.post("/sources", SourceView, fields)

    def change_source(self, id: str, **fields: Any) -> SourceView:
        """The fields of `SourceChange`."""
        return read(self.request("PATCH", f"/sources/{id}", json=plain(fields)), SourceView)

    def delete_source(self, id: str) -> None:
        self.request("DELETE", f"/sources/{id}")

    def source_preview(self, id: str, limit: int = 100) -> SourcePreview:
        return self.get(f"/sources/{id}/preview", SourcePreview, limit=limit)

    def source_sample(self, id: str, limit: int = 100) -> SourcePreview:
        return self.get(f"/sources/{id}/sample", SourcePreview, limit=limit)

    def source_profile(self, id: str, *, whole: bool = False) -> SourceProfile:
        return self.get(f"/sources/{id}/profile", SourceProfile, whole=whole)

    def source_rows(self, id: str, filters: Sequence[Any] = (), **wish: Any) -> SourceRows:
        """Filters: field, by and value of a profile's figure. Wishes: offset, limit, whole."""
        return self.post(f"/sources/{id}/rows", SourceRows, {"filters": list(filters), **wish})

    def source_outline(self, id: str) -> SourceOutline:
        return self.get(f"/sources/{id}/outline", SourceOutline)

    def join_sources(self, ids: Sequence[str], name: str | None = None) -> SourceView:
        """One source of several uploaded ones with the same fields, in their place."""
        return self.post("/sources/join", SourceView, {"sources": list(ids), "name": name})

    def check_connection(self, connector: str, config: Any) -> CheckResult:
        return self.post(f"/connectors/{connector}/check", CheckResult, {"config": config})

    def browse_connection(self, connector: str, config: Any) -> Browsed:
        return self.post(f"/connectors/{connector}/browse", Browsed, {"config": config})

    def connection_answer(self, connector: str, config: Any) -> AnswerView:
        """What an interface answers to a configuration, to find out where its records stand."""
        return self.post(f"/connectors/{connector}/answer", AnswerView, {"config": config})

    def check_source(self, id: str, config: Any = None) -> CheckResult:
        """The source's connection; with `config` as it would be with that."""
        return self.post(
            f"/sources/{id}/check", CheckResult, {"config": config} if config is not None else None
        )

    # What is on offer

    def state(self) -> TenantState:
        return self.get("/state", TenantState)

    def standing(self) -> Standing:
        """What waits for a person, and how fresh each pipeline's data is."""
        return self.get("/standing", Standing)

    def counts(self) -> Counts:
        """Rows in quarantine, and pipelines whose last run failed: cheap to ask."""
        return self.get("/standing/counts", Counts)

    def connectors(self) -> list[ConnectorView]:
        return self.catalogue("/connectors", list[ConnectorView])

    def feeds(self) -> list[FeedView]:
        return self.get("/feeds", list[FeedView])

    def keep_feed(self, **fields: Any) -> FeedView:
        """Keep a configuration as a template: title, connector, config. Its secrets are left out."""
        return self.post("/feeds", FeedView, fields)

    def delete_feed(self, id: str) -> None:
        self.request("DELETE", f"/feeds/{id}")

    def samples(self) -> list[SampleView]:
        return self.catalogue("/samples", list[SampleView])

    def steps(self) -> list[StepView]:
        return self.catalogue("/steps", list[StepView])

    def operators(self) -> list[OperatorView]:
        """The kinds of rule, as sentences."""
        return self.catalogue("/operators", list[OperatorView])

    def kinds(self) -> list[KindView]:
        return self.catalogue("/kinds", list[KindView])

    def vocabularies(self) -> list[VocabularyView]:
        return self.catalogue("/vocabularies", list[VocabularyView])

    def targets(self) -> list[TargetView]:
        return self.get("/targets", list[TargetView])

    def target(self, name: str) -> TargetView:
        return self.get(f"/targets/{name}", TargetView)

    def propose_target(self, source: str) -> ProposedModel:
        """A target model made from a source; nothing is saved."""
        return self.post("/targets/propose", ProposedModel, {"source": source})

    def create_target(self, model: Any) -> TargetView:
        return self.post("/targets", TargetView, model)

    def replace_target(self, name: str, model: Any) -> TargetView:
        return read(self.request("PUT", f"/targets/{name}", json=plain(model)), TargetView)

    def delete_target(self, name: str) -> None:
        self.request("DELETE", f"/targets/{name}")
