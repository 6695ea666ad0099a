"""Runs are watched, cancelled, read afterwards with all they did, and say beforehand what undoing them takes away."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from app.behind import LOADING, STAGING
from app.client import Client
from app.tenant import fetching, loading
from app.tenant.desk import Desk
from app.wire import Refused
from engine.model import Pipeline, Rule, Severity
from engine.run import TooManyRejects
from storage import definitions, quarantine, runs
from storage.books import RunBooks
from storage.disk import DiskFull

MANY = "indicator,confidence\n" + "".join(
    f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255},{n % 100}\n" for n in range(60_000)
)


def test_a_run_tells_its_stages_mappings_payloads_and_log(client: Client, feed: Path) -> None:
    run = client.run(client.ingest(feed, wait=60).run)

    stages = {stage.stage: stage for stage in run.stages}
    assert set(stages) == {"read", "stage", "commit"}
    assert all(stage.start is not None and stage.end >= stage.start for stage in stages.values())
    assert stages["commit"].end > stages["read"].start
    assert [(p.number, p.name, p.size) for p in run.payloads] == [(0, "feed.csv", len(feed.read_bytes()))]
    assert [m.target for m in run.mappings] == ["indicator"]
    assert [(w.target, w.versions, w.gone) for w in run.written] == [("indicator", 3, 3)]
    told = [line.text for line in run.log]
    assert told[0].startswith("Run 1 of")
    assert told[1] == "Batch 1 committed: 5 read = 3 inserted + 2 rejected."
    assert told[-1] == "Ended as finished; the books balance."
    assert any("confidence" in text and "sent to quarantine" in text for text in told)


def test_the_payload_of_a_run_comes_back_byte_for_byte_to_those_who_may(
    client: Client, desk: Desk, feed: Path
) -> None:
    client.ingest(feed, wait=60)
    assert b"".join(client.run_payload(1, 0)) == feed.read_bytes()
    with pytest.raises(Refused):
        b"".join(client.run_payload(1, 4))


def test_undoing_says_beforehand_what_it_will_do(client: Client, feed: Path) -> None:
    client.ingest(feed, wait=60)
    reject = client.rejects(rule="confidence:type").rejects[0]
    client.change_reject(reject.id, fields={"confidence": "33"})
    replay = client.replay().runs[0]

    first, second = client.undo_plan(1), client.undo_plan(replay)

    assert [(w.versions, w.gone, w.restored) for w in first.written] == [(3, 3, 0)]
    assert (first.closes, first.reopens) == (1, 0)
    assert (second.closes, second.reopens, second.moves_cursor) == (0, 1, False)
    ended = client.run(replay).finished
    assert client.undo_run(replay).removed == second.written[0].versions
    assert client.run(replay).finished == ended, "what a run took does not change with its undoing"


def test_runs_are_found_by_kind_state_and_time(client: Client, feed: Path) -> None:
    done = client.ingest(feed, wait=60)
    started = client.run(done.run).started
    client.replay(all_open=True)

    assert [r.kind for r in client.runs(kind="replay").runs] == ["replay"]
    assert [r.run for r in client.runs(state="finished", kind="run").runs] == [1]
    assert client.runs(since=started.isoformat()).runs[-1].run == 1
    assert client.runs(since="2999-01-01T00:00:00Z").runs == []


def test_a_dry_run_shows_examples_of_every_outcome_and_what_the_rules_would_catch(
    client: Client, tmp_path: Path
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(
        "indicator,confidence\n203.0.113.1,10\n203.0.113.1,10\n203.0.113.2,lots\n203.0.113.3\n203.0.113.4,20\n"
    )
    id = client.ingest(path, wait=60).pipeline

    dry = client.start_run(id, dry_run=True)

    assert (dry.kind, dry.state) == ("dry", "finished")
    assert (dry.ledger.unchanged, dry.ledger.duplicate, dry.ledger.rejected) == (2, 1, 2)
    assert [row["_line"] for row in dry.examples["duplicate"]] == [2]
    assert {(row["_line"], row["raw"]) for row in dry.examples["rejected"]} == {
        (4, "203.0.113.2,lots"),
        (5, "203.0.113.3"),
    }
    assert [(f.field, f.rows) for f in dry.findings] == [("confidence", 1)]
    assert client.runs().runs[0].run == 1


def test_a_dry_run_is_watched_and_cancelled_like_a_run(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "CHUNK_BYTES", 1 << 14)
    path = tmp_path / "many.csv"
    path.write_text(MANY)
    id = client.ingest(path, wait=60).pipeline

    begun = client.start_run(id, dry_run=True, wait=0)

    assert (begun.state, begun.kind) == ("running", "dry")
    assert client.run(begun.run).progress is not None
    client.cancel_run(begun.run)
    ended = client.wait_run(begun.run, timeout=30)
    assert ended.state == "cancelled"
    assert ended.ledger.read < 60_000


def test_a_resumed_run_judges_freshness_by_all_of_its_rows(
    desk: Desk, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest value stood in a batch before the interruption."""
    monkeypatch.setattr(fetching, "CHUNK_BYTES", 2048)
    monkeypatch.setattr(loading, "limits_of", _small)
    path = tmp_path / "seen.csv"
    recent = desk.now().isoformat()
    rows = [f"10.0.{n >> 8}.{n & 255},{recent if n == 3 else '2020-01-01T00:00:00'}" for n in range(600)]
    path.write_text("indicator,first_seen\n" + "\n".join(rows) + "\n")
    id = client.ingest(path, wait=60).pipeline
    made = Pipeline.model_validate(definitions.get(desk.store.cursor(), "pipeline", id).body)
    rule = Rule(id="fresh", operator="freshness", field="first_seen", value="2 days", severity=Severity.FAIL)
    mapping = made.mappings[0].model_copy(update={"rules": (rule,)})
    client.replace_pipeline(
        id, name=made.name, source=made.source, mappings=[mapping.model_dump(mode="json", by_alias=True)]
    )
    client.undo_run(1)

    number = _interrupted(desk, id, monkeypatch)
    assert 0 < runs.get(desk.store.cursor(), number).ledger.read < 600
    loading.resume_interrupted(desk)
    ended = loading.wait(desk, number, 60)

    assert (ended.state, ended.error) == ("finished", None)
    assert ended.ledger.read == 600
    assert any("Went on after an interruption" in text for _, text in runs.told(desk.store.cursor(), number))


def _small(desk: Desk, loaded: Pipeline) -> loading.Limits:
    return loading.Limits(batch_rows=50, workers=1)


def _interrupted(desk: Desk, id: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """A run that stops as the worker closes, after a few batches."""
    commit = loading.RunBooks.commit

    def and_then_stop(books: loading.RunBooks, batch: object) -> object:
        done = commit(books, batch)  # type: ignore[arg-type]
        if batch.number == 2:  # type: ignore[attr-defined]
            desk.closing.set()
            desk.live[books.run].progress.cancelled.set()
        return done

    monkeypatch.setattr(loading.RunBooks, "commit", and_then_stop)
    number = loading.start_run(desk, id, by="ana")
    loading.wait(desk, number, 60)
    while desk.live:
        time.sleep(0.01)
    monkeypatch.setattr(loading.RunBooks, "commit", commit)
    desk.closing.clear()
    return number


def test_a_load_goes_behind_what_people_wait_for(
    client: Client, feed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a hundred people wait for pages while both cores stage rows."""
    mine, seen = os.getpriority(os.PRIO_PROCESS, 0), set[tuple[str, int]]()

    def noting(name: str) -> None:
        work = getattr(RunBooks, name)

        def noted(books: RunBooks, given: Any) -> Any:
            seen.add((name, os.getpriority(os.PRIO_PROCESS, 0)))
            return work(books, given)

        monkeypatch.setattr(RunBooks, name, noted)

    noting("stage")
    noting("commit")
    client.ingest(feed, wait=60)
    assert seen == {("stage", min(mine + STAGING, 19)), ("commit", min(mine + LOADING, 19))}
    assert os.getpriority(os.PRIO_PROCESS, 0) == mine


@pytest.fixture
def rejecting(client: Client) -> str:
    """A pipeline whose runs break its threshold once everything is committed."""
    rows = "".join(f"203.0.113.{n % 250},{'lots' if n % 40 == 3 else n % 100}\n" for n in range(160))
    read = client.create_source(text=f"indicator,confidence\n{rows}", name="Feed").source
    mapping = client.suggest(read.id, target="indicator").suggestions[0].mapping
    made = client.create_pipeline(name="Feed", source=read.id, mappings=[mapping], error_threshold=0.0)
    return made.pipeline.id


def full(*_: Any, **__: Any) -> None:
    raise DiskFull("At the end of the run.")


def test_why_a_run_failed_is_told_and_acted_on_though_the_disk_fills_up_at_its_end(
    client: Client, rejecting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "fold", full)
    ended = client.start_run(rejecting, wait=60)
    assert (ended.state, (ended.error or {})["title"]) == ("failed", TooManyRejects("").title)
    assert client.records("indicator").total == 0


def test_a_run_that_could_not_be_taken_back_is_gone_on_with(
    client: Client, desk: Desk, rejecting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(runs, "take_back", full)
        assert client.start_run(rejecting, wait=60).state == "running"
    assert client.records("indicator").total > 0
    [number] = loading.resume_interrupted(desk)
    assert loading.wait(desk, number, 60).state == "failed"
    assert client.records("indicator").total == 0
