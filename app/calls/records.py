"""Records: read, asked, taken elsewhere; and the audit log of who did."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.calls.wire import Wire
from app.tenant.schemas.events import EventPage, EventSummary, EventView, VerifyResult
from app.tenant.schemas.objects import RunChanges, WaitingPage
from app.tenant.schemas.queries import (
    AskedQuery,
    Cancelled,
    Preference,
    QueryResult,
    SavedQuery,
    TableInfo,
)
from app.tenant.schemas.records import (
    ExportManifest,
    FacetPage,
    Lineage,
    RecordDetail,
    RecordPage,
    RelationPage,
    TargetCount,
)
from app.wire import plain, read


class Records(Wire):
    """Records: read, asked, taken elsewhere; and the audit log of who did."""

    # Records

    def record_counts(self) -> list[TargetCount]:
        return self.get("/records", list[TargetCount])

    def records(self, target: str, **filters: Any) -> RecordPage:
        """Filters: search, match, where (list of field=value), run, order, descending, offset, limit."""
        return self.get(f"/records/{target}", RecordPage, **filters)

    def facets(self, target: str, **filters: Any) -> FacetPage:
        """Filters: search, match, where, run; time names the field of the time line."""
        return self.get(f"/records/{target}/facets", FacetPage, **filters)

    def record(self, target: str, key: str, *, raw: bool = True) -> RecordDetail:
        return self.get(f"/records/{target}/{key}", RecordDetail, raw=raw)

    def run_changes(self, run: int, limit: int = 20) -> RunChanges:
        """What a run did to objects that its ledger does not tell."""
        return self.get(f"/runs/{run}/changes", RunChanges, limit=limit)

    def waiting(self, offset: int = 0, limit: int = 100) -> WaitingPage:
        """Ids that records name and that are not here yet."""
        return self.get("/waiting", WaitingPage, offset=offset, limit=limit)

    def relations(self, target: str, key: str, limit: int = 60) -> RelationPage:
        return self.get(f"/records/{target}/{key}/relations", RelationPage, limit=limit)

    def lineage(self, target: str, key: str, *, raw: bool = True) -> Lineage:
        return self.get(f"/lineage/{target}/{key}", Lineage, raw=raw)

    # Queries

    def query(
        self, sql: str, limit: int = 1000, timeout: float = 30, *, name: str = "", keep: bool = False
    ) -> QueryResult:
        """`name` is what to cancel it by; `keep` puts it into one's history."""
        body = {"sql": sql, "limit": limit, "timeout": timeout, "name": name, "keep": keep}
        return self.post("/query", QueryResult, body)

    def cancel_query(self, name: str) -> Cancelled:
        return read(self.request("DELETE", f"/query/{name}"), Cancelled)

    def tables(self) -> list[TableInfo]:
        return self.get("/tables", list[TableInfo])

    def query_history(self) -> list[AskedQuery]:
        return self.get("/queries/history", list[AskedQuery])

    def forget_queries(self) -> None:
        self.request("DELETE", "/queries/history")

    def saved_queries(self) -> list[SavedQuery]:
        return self.get("/queries/saved", list[SavedQuery])

    def save_query(self, name: str, sql: str) -> SavedQuery:
        return self.post("/queries/saved", SavedQuery, {"name": name, "sql": sql})

    def delete_query(self, id: str) -> None:
        self.request("DELETE", f"/queries/saved/{id}")

    def preference(self, name: str) -> Any:
        return self.get(f"/preferences/{name}", Preference).body

    def prefer(self, name: str, body: Any) -> None:
        self.request("PUT", f"/preferences/{name}", json=plain(body))

    # Exports

    def export_manifest(self, target: str, format: str = "csv", **filters: Any) -> ExportManifest:
        """What the file would hold, and what is left out. Filters as for `export`."""
        return self.get(f"/export/{target}/manifest", ExportManifest, format=format, **filters)

    def export_query(self, asked: int, format: str = "csv", **filters: Any) -> Iterator[bytes]:
        """The whole result of a query of one's history, piece by piece."""
        with self._stream(f"/export/query/{asked}", format=format, **filters) as answer:
            yield from answer.iter_bytes()

    def export(self, target: str, format: str = "csv", **filters: Any) -> Iterator[bytes]:
        """The file piece by piece. Filters: search, match, where, run, guard."""
        with self._stream(f"/export/{target}", format=format, **filters) as answer:
            yield from answer.iter_bytes()

    def export_rejects(self, format: str = "csv", **filters: Any) -> Iterator[bytes]:
        """Rejects with cause, raw line, file and line number. Filters: run, pipeline, rule, field, reason, state, guard."""
        with self._stream("/rejects/export", format=format, **filters) as answer:
            yield from answer.iter_bytes()

    # Audit

    def audit(self, **filters: Any) -> EventPage:
        """Filters: text, who, action, kind, object, outcome, since, until, before, limit."""
        return self.get("/audit", EventPage, **filters)

    def audit_summary(self, **filters: Any) -> EventSummary:
        """The filters of `audit`, without before and limit."""
        return self.get("/audit/summary", EventSummary, **filters)

    def audit_event(self, seq: int) -> EventView:
        return self.get(f"/audit/{seq}", EventView)

    def export_audit(self, **filters: Any) -> Iterator[bytes]:
        """NDJSON piece by piece, under the filters of `audit_summary`."""
        with self._stream("/audit/export", **filters) as answer:
            yield from answer.iter_bytes()

    def verify_audit(self, witness: Any = None) -> VerifyResult:
        return self.post("/audit/verify", VerifyResult, witness)
