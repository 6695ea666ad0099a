"""Runs, cursors, and the rejects they leave."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from app.calls.payloads import Payloads
from app.sending import PATIENCE, Told
from app.tenant.schemas.cursors import CursorTrial, CursorView
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
from app.tenant.schemas.runs import IngestResult, RunDetail, RunPage, RunView, Undone, UndoPlan
from app.wire import plain, read
from engine.errors import Retry


class Runs(Payloads):
    """Runs, cursors, and the rejects they leave."""

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
