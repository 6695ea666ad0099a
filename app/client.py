"""The client: the one way in for pages, the command line, tests and customers.

Over https with an API key, over the tenant's unix socket, or straight onto an ASGI app. A problem the
server tells becomes an exception that says what happened, where, and what to do.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import httpx

from app.sending import PATIENCE, Told, send
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
from app.tenant.schemas.chains import Offers, Readings, Trace
from app.tenant.schemas.credentials import CredentialRotation, CredentialTest, CredentialView
from app.tenant.schemas.cursors import CursorTrial, CursorView
from app.tenant.schemas.definitions import Version
from app.tenant.schemas.drafts import DraftHead, DraftView
from app.tenant.schemas.drift import DriftAccepted, DriftPatch, DriftView
from app.tenant.schemas.events import EventPage, EventSummary, EventView, VerifyResult
from app.tenant.schemas.feeds import AnswerView, FeedView
from app.tenant.schemas.mappings import ChangeView, Impact, MappingPreview, Suggestions
from app.tenant.schemas.objects import RunChanges, WaitingPage
from app.tenant.schemas.payloads import PayloadInfo
from app.tenant.schemas.pipelines import PipelineLineage, PipelineView
from app.tenant.schemas.publications import DeliveryDetail, DeliveryView, PublicationView
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
from app.tenant.schemas.rejects import (
    CauseView,
    FixTrial,
    RejectPage,
    RejectView,
    RepairResult,
    ReplayResult,
    Surroundings,
    TakenBack,
    TriedRow,
)
from app.tenant.schemas.rules import Judgement, OperatorView, RuleOffers
from app.tenant.schemas.runs import IngestResult, RunDetail, RunPage, RunView, Undone, UndoPlan
from app.tenant.schemas.sources import (
    CheckResult,
    SourceOutline,
    SourcePreview,
    SourceProfile,
    SourceRows,
    SourceView,
)
from app.tenant.schemas.standing import Counts, Standing
from app.tenant.schemas.templates import Applied, TemplateView
from app.tenant.schemas.values import Values
from app.wire import AnswerT, InProcess, NoAnswer, checked, clean, given, plain, read
from engine.errors import Retry

TIMEOUT = httpx.Timeout(connect=10.0, write=120.0, read=960.0, pool=30.0)


class Client:
    """Everything a tenant's API offers, by method. Close it, or use it as a context manager. Thread-safe."""

    def __init__(self, http: httpx.Client, base: str = "") -> None:
        self._http = http
        self._base = base

    @classmethod
    def over_https(cls, url: str, api_key: str = "", tenant: str = "default", **options: Any) -> Client:
        """Through the gateway, as the API key allows."""
        headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        http = httpx.Client(base_url=url.rstrip("/"), headers=headers, timeout=TIMEOUT, **options)
        return cls(http, f"/api/v1/tenants/{tenant}")

    @classmethod
    def over_socket(
        cls, path: Path, tenant: str = "default", user: str = "local", role: str = "administrator"
    ) -> Client:
        """Straight to a tenant's worker: for whoever owns its socket, on the same machine."""
        transport = httpx.HTTPTransport(uds=str(path))
        headers = {"x-spire-user": user, "x-spire-role": role}
        return cls(
            httpx.Client(transport=transport, base_url="http://worker", headers=headers, timeout=TIMEOUT)
        )

    @classmethod
    def on_app(cls, app: Any, user: str = "local", role: str = "administrator") -> Client:
        """On an ASGI app in this process. Its lifespan is the caller's business."""
        headers = {"x-spire-user": user, "x-spire-role": role}
        transport = InProcess(app)
        return cls(
            httpx.Client(transport=transport, base_url="http://worker", headers=headers, timeout=TIMEOUT)
        )

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def listen(self, heard: Callable[[httpx.Response], None]) -> None:
        """Let `heard` see every answer's headers."""
        self._http.event_hooks = {"response": [heard]}

    # The wire

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One request; a refusal is raised, a lost connection is NoAnswer."""
        try:
            answer = self._http.request(method, self._base + path, **clean(options))
        except httpx.TransportError as error:
            raise NoAnswer(str(self._http.base_url), action=str(error) or "Is it running?") from error
        checked(answer)
        return answer

    def get(self, path: str, as_: type[AnswerT], **params: Any) -> AnswerT:
        """GET, read as a model."""
        return read(self.request("GET", path, params=params), as_)

    def post(self, path: str, as_: type[AnswerT], body: Any = None, **params: Any) -> AnswerT:
        """POST a JSON body, read as a model."""
        return read(self.request("POST", path, json=plain(body), params=params), as_)

    @contextmanager
    def _stream(self, path: str, **params: Any) -> Iterator[httpx.Response]:
        try:
            with self._http.stream("GET", self._base + path, params=given(params)) as answer:
                if answer.is_error:
                    answer.read()
                checked(answer)
                yield answer
        except httpx.TransportError as error:
            raise NoAnswer(str(self._http.base_url), action=str(error)) from error

    # Payloads

    def upload(self, path: Path, *, name: str | None = None, told: Told | None = None) -> PayloadInfo:
        """Send a file in parts; `told(sent, size)` hears how far it is. A lost connection is taken up again."""
        size = path.stat().st_size
        with path.open("rb") as stream:
            return self.upload_stream(stream, name or path.name, size=size, told=told)

    def upload_stream(
        self, stream: BinaryIO, name: str, *, size: int | None = None, told: Told | None = None
    ) -> PayloadInfo:
        """Send a stream in parts, holding one part in memory."""
        return send(self.request, stream, name, size, told)

    def paste(self, text: str, name: str = "pasted text") -> PayloadInfo:
        """Send a text as a payload."""
        return self.upload_stream(io.BytesIO(text.encode()), name, size=len(text.encode()))

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

    def check_source(self, id: str) -> CheckResult:
        return self.post(f"/sources/{id}/check", CheckResult)

    # Publications

    def publications(self) -> list[PublicationView]:
        return self.get("/publications", list[PublicationView])

    def publication(self, id: str) -> PublicationView:
        return self.get(f"/publications/{id}", PublicationView)

    def create_publication(self, **body: Any) -> PublicationView:
        return self.post("/publications", PublicationView, body)

    def change_publication(self, id: str, **body: Any) -> PublicationView:
        return read(self.request("PUT", f"/publications/{id}", json=plain(body)), PublicationView)

    def delete_publication(self, id: str) -> None:
        self.request("DELETE", f"/publications/{id}")

    def deliver(self, id: str, *, anew: bool = False) -> DeliveryView:
        return self.post(f"/publications/{id}/deliveries", DeliveryView, {"anew": anew})

    def deliveries(self, id: str) -> list[DeliveryView]:
        return self.get(f"/publications/{id}/deliveries", list[DeliveryView])

    def delivery(self, id: str, delivery: int, *, wait: float = 0) -> DeliveryDetail:
        return self.get(f"/publications/{id}/deliveries/{delivery}", DeliveryDetail, wait=wait)

    def cancel_delivery(self, id: str, delivery: int) -> DeliveryView:
        return self.post(f"/publications/{id}/deliveries/{delivery}/cancel", DeliveryView)

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
        return self.get("/connectors", list[ConnectorView])

    def feeds(self) -> list[FeedView]:
        return self.get("/feeds", list[FeedView])

    def keep_feed(self, **fields: Any) -> FeedView:
        """Keep a configuration as a template: title, connector, config. Its secrets are left out."""
        return self.post("/feeds", FeedView, fields)

    def delete_feed(self, id: str) -> None:
        self.request("DELETE", f"/feeds/{id}")

    def samples(self) -> list[SampleView]:
        return self.get("/samples", list[SampleView])

    def steps(self) -> list[StepView]:
        return self.get("/steps", list[StepView])

    def operators(self) -> list[OperatorView]:
        """The kinds of rule, as sentences."""
        return self.get("/operators", list[OperatorView])

    def kinds(self) -> list[KindView]:
        return self.get("/kinds", list[KindView])

    def vocabularies(self) -> list[VocabularyView]:
        return self.get("/vocabularies", list[VocabularyView])

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
        headers = {"content-type": "application/yaml"}
        return read(
            self.request("POST", "/pipelines/import", content=text.encode(), headers=headers), PipelineView
        )

    def pipeline_lineage(self, id: str) -> PipelineLineage:
        return self.get(f"/pipelines/{id}/lineage", PipelineLineage)

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

    # Cursors

    def cursor(self, pipeline: str) -> CursorView:
        """Where a pipeline's source stands, and the places it can be led back to."""
        return self.get(f"/pipelines/{pipeline}/cursor", CursorView)

    def try_cursor(self, pipeline: str, cursor: Any) -> CursorTrial:
        """What a cursor says, and whether the source could have given it."""
        return self.post(f"/pipelines/{pipeline}/cursor/try", CursorTrial, {"cursor": cursor})

    def set_cursor(self, pipeline: str, cursor: Any, reason: str = "") -> CursorView:
        body = {"cursor": cursor, "reason": reason}
        return read(self.request("PUT", f"/pipelines/{pipeline}/cursor", json=body), CursorView)

    def rewind_cursor(self, pipeline: str, run: int | None = None, reason: str = "") -> CursorView:
        """Back to where a run left it; without one, to the beginning."""
        return self.post(f"/pipelines/{pipeline}/cursor/rewind", CursorView, {"run": run, "reason": reason})

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

    # Credentials

    def credentials(self) -> list[CredentialView]:
        return self.get("/credentials", list[CredentialView])

    def credential(self, id: str) -> CredentialView:
        return self.get(f"/credentials/{id}", CredentialView)

    def create_credential(self, **fields: Any) -> CredentialView:
        """The fields of `CredentialCreate`, or, with a `place`, of `CredentialElsewhere`."""
        return self.post("/credentials" + ("/elsewhere" if "place" in fields else ""), CredentialView, fields)

    def change_credential(self, id: str, **fields: Any) -> CredentialView:
        """The fields of `CredentialChange`."""
        return read(self.request("PATCH", f"/credentials/{id}", json=plain(fields)), CredentialView)

    def rotate_credential(self, id: str, value: str, **fields: Any) -> CredentialRotation:
        """The fields of `CredentialRotate`."""
        return self.post(f"/credentials/{id}/rotate", CredentialRotation, {"value": value, **fields})

    def check_credential(self, id: str) -> CredentialTest:
        return self.post(f"/credentials/{id}/check", CredentialTest)

    def remove_credential(self, id: str, *, force: bool = False) -> None:
        self.request("DELETE", f"/credentials/{id}", params={"force": force})

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

    # Runs

    def start_run(self, pipeline: str, *, dry_run: bool = False, wait: float | None = None) -> RunDetail:
        """Without `wait` a run answers at once, and a dry run when it is over."""
        return self.post(f"/pipelines/{pipeline}/runs", RunDetail, {"dry_run": dry_run, "wait": wait})

    def runs(self, **filters: Any) -> RunPage:
        """Filters: pipeline, state, kind, since, before, limit."""
        return self.get("/runs", RunPage, **filters)

    def run(self, run: int, wait: float = 0) -> RunDetail:
        return self.get(f"/runs/{run}", RunDetail, wait=wait)

    def wait_run(
        self, run: int, *, timeout: float | None = None, told: Callable[[RunView], None] | None = None
    ) -> RunDetail:
        """The run once it has ended; `told` hears of it about every second while it lasts."""
        end = None if timeout is None else time.monotonic() + timeout
        tries = 0
        while True:
            left = 1.0 if end is None else min(1.0, end - time.monotonic())
            try:
                found = self.run(run, wait=max(left, 0))
            except Retry:
                # A worker that died is started again, and its run goes on.
                tries += 1
                if tries > PATIENCE:
                    raise
                time.sleep(0.2 * 2**tries)
                continue
            tries = 0
            if found.state != "running" or (end is not None and time.monotonic() >= end):
                return found
            if told is not None:
                told(found)

    def cancel_run(self, run: int) -> RunView:
        return self.post(f"/runs/{run}/cancel", RunView)

    def undo_plan(self, run: int) -> UndoPlan:
        return self.get(f"/runs/{run}/undo", UndoPlan)

    def run_payload(self, run: int, number: int) -> Iterator[bytes]:
        """The bytes of a payload a run read, as they were received."""
        with self._stream(f"/runs/{run}/payloads/{number}") as answer:
            yield from answer.iter_bytes()

    def undo_run(self, run: int) -> Undone:
        return self.post(f"/runs/{run}/undo", Undone)

    def ingest(
        self,
        path: Path,
        *,
        target: str | None = None,
        mapping: str | None = None,
        source: str | None = None,
        told: Told | None = None,
        wait: float = 5,
    ) -> IngestResult:
        """The whole job for a file. `mapping` is YAML; give the answer's `run` to `wait_run`."""
        payload = self.upload(path, told=told)
        return self.ingest_payload(payload.payload, target=target, mapping=mapping, source=source, wait=wait)

    def ingest_payload(
        self,
        payload: str,
        *,
        target: str | None = None,
        mapping: str | None = None,
        source: str | None = None,
        wait: float = 5,
    ) -> IngestResult:
        """As `ingest`, for a payload that is sealed already."""
        params = {"payload": payload, "target": target, "source": source, "wait": wait}
        headers = {"content-type": "application/yaml"}
        content = mapping.encode() if mapping else b""
        return read(
            self.request("POST", "/ingest", params=params, content=content, headers=headers), IngestResult
        )

    # Rejects

    def rejects(self, **filters: Any) -> RejectPage:
        """Filters: run, pipeline, rule, field, reason, state, after, limit."""
        return self.get("/rejects", RejectPage, **filters)

    def reject(self, id: int) -> RejectView:
        return self.get(f"/rejects/{id}", RejectView)

    def causes(self, **filters: Any) -> list[CauseView]:
        """Filters: run, pipeline, propose."""
        return self.get("/rejects/causes", list[CauseView], **filters)

    def change_reject(self, id: int, **change: Any) -> RejectView:
        """One of text, fields, dismiss (with a reason) and undo."""
        return read(self.request("PATCH", f"/rejects/{id}", json=plain(change)), RejectView)

    def check_reject(self, id: int, **repair: Any) -> TriedRow:
        """One of text and fields."""
        return self.post(f"/rejects/{id}/check", TriedRow, repair)

    def around_reject(self, id: int, lines: int = 5) -> Surroundings:
        return self.get(f"/rejects/{id}/around", Surroundings, lines=lines)

    def try_fix(self, cause: Any, fix: Any, limit: int = 100) -> FixTrial:
        return self.post("/rejects/try", FixTrial, {"cause": cause, "fix": fix, "limit": limit})

    def take_back(self, run: int) -> TakenBack:
        return self.post("/rejects/take-back", TakenBack, {"run": run})

    def repair(self, cause: Any, fix: Any, *, save: bool = False, replay: bool = True) -> RepairResult:
        body = {"cause": cause, "fix": fix, "save": save, "replay": replay}
        return self.post("/rejects/repair", RepairResult, body)

    def replay(self, **body: Any) -> ReplayResult:
        """The fields of `ReplayRequest`: ids, run, pipeline, all_open, wait."""
        return self.post("/rejects/replay", ReplayResult, body)

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
