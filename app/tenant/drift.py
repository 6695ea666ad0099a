"""Drift in a run: what is known of the source is fetched, the run's rows are looked at, and what differs is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from app.tenant import journal
from app.tenant.caller import Caller
from app.tenant.desk import Desk, received, source
from app.tenant.drift_sample import Watch, is_watched
from connectors.formats import reader
from engine import drift
from engine.drift import Finding
from engine.drift_guard import Guard, guard_of
from engine.drift_look import Look
from engine.errors import SpireError, Stop
from engine.lineage import lineage
from engine.model import Pipeline, Source, SourceField
from engine.ports import Chunk, Segment
from storage import definitions
from storage import drift as kept
from storage.audit import ActionKind
from storage.drift import Drift, Known

# A first look reads so much of a payload's beginning.
LOOK_ROWS = 2_000
LOOK_CHUNKS = 8
LOOK_BYTES = 1 << 20
# Stands for the run to come: no run in the books has this number.
NO_RUN = 0
# The words that must be obeyed before the first row is kept, and so need all payloads looked at first.
_FROM_THE_START = ("discard value", "discard row")
_WORD_OF = {
    "new": "new_fields",
    "type": "type_changes",
    "vanished": "vanished_fields",
    "rename": "vanished_fields",
}


class Froze(Stop):
    """The source no longer looks as this pipeline expects, and its contract says to stop. Nothing was kept."""


@dataclass
class Drifting:
    """A run's view of its source: what is known, what is seen, and what the contract makes of the difference."""

    desk: Desk
    pipeline: Pipeline
    version: int
    source: Source
    known: Known | None
    watch: Watch
    payloads: list[str] = field(default_factory=list)

    @property
    def ahead(self) -> bool:
        """Whether all payloads must be looked at before the first row is staged."""
        contract = self.pipeline.contract
        return self.known is not None and (
            "freeze" in (contract.new_fields, contract.type_changes, contract.vanished_fields)
            or contract.vanished_fields in _FROM_THE_START
        )

    def see(self, chunk: Chunk) -> None:
        """Look at some rows of a chunk."""
        if self.known is not None:
            self.watch.see(chunk)

    def took(self, segment: Segment) -> None:
        """Note a payload the run reads."""
        if segment.sha256 not in self.payloads:
            self.payloads.append(segment.sha256)

    def findings(self) -> tuple[Finding, ...]:
        """What differs so far. What was learned from is no news, nor what a connector gives for the first time."""
        if self.known is None or set(self.payloads) <= set(self.known.payloads):
            return ()
        if not self.known.runs and self.source.connector != "upload":
            return ()
        return drift.compare(self.known.look, self.watch.look())

    def guard(self) -> Guard | None:
        """What the plan must watch, once `ahead` was heeded. Froze where the contract says to stop."""
        if self.known is None:
            return None
        contract = self.pipeline.contract
        found = self.findings() if self.ahead else ()
        read = fields_read(self.pipeline)
        stopping = [
            f
            for f in found
            if getattr(contract, _WORD_OF[f.kind]) == "freeze" and (f.kind == "new" or f.field in read)
        ]
        if stopping:
            raise Froze(
                " ".join(f.says for f in stopping[:3])
                + (f" And {len(stopping) - 3} more." if len(stopping) > 3 else ""),
                action="Take the patched mapping that is offered, or change the pipeline's contract.",
            )
        gone = [f.field for f in found if f.kind in ("vanished", "rename") and f.field in read]
        return guard_of(contract, self.known.look, gone)

    def conclude(self, run: int) -> tuple[Finding, ...]:
        """Keep what differed, or learn from a source that was as expected. Returns what differed."""
        look = self.watch.look()
        # A worker that closes leaves the run to the next one, which sees the rest of it.
        if self.known is None or not look.rows or self.desk.closing.is_set():
            return ()
        findings = self.findings()
        at = self.desk.now()
        with self.desk.store.transaction(batch=True) as cursor:
            if not findings:
                kept.settle(cursor, self.pipeline.id, "superseded", "", at)
                if set(self.payloads) <= set(self.known.payloads) and self.known.runs:
                    return ()
                # Where new fields are not welcome, one too rare to be told is still not known.
                strict = self.pipeline.contract.new_fields != "evolve" and self.known.look.fields
                learned = replace(
                    self.known, runs=self.known.runs + 1, look=drift.learned(self.known.look, look, new=not strict),
                    payloads=tuple(dict.fromkeys((*self.known.payloads, *self.payloads))),
                )  # fmt: skip
                kept.keep_known(cursor, learned, at)
                return ()
            left = self.pipeline.contract.new_fields == "discard value" and all(
                f.kind == "new" for f in findings
            )
            state = "dismissed" if left else "open"
            kept.keep(
                cursor,
                Drift(
                    run, self.pipeline.id, self.version, findings, look, state, "contract" if left else "", at
                ),
            )
            journal.note(
                self.desk, Caller("the run", ""), ActionKind.RUN, "drift.found", self.pipeline.id, cursor=cursor,
                after={"run": run, "findings": [f.says for f in findings]},
            )  # fmt: skip
        return findings


def begin(desk: Desk, loading: Pipeline, version: int, read: Source) -> Drifting:
    """A run's drift, with what is known of its source."""
    watched = read.shape is not None and is_watched(read.shape)
    known = known_of(desk, loading, version) if watched else None
    assert read.shape is not None  # noqa: S101  a run has a shape
    return Drifting(desk, loading, version, read, known, Watch(read.shape))


def waiting(desk: Desk, id: str) -> Drift | None:
    """How a file that was brought and not run yet differs; None where it does not, or nothing waits.

    What a connector will give is not known before it is asked.
    """
    definition = definitions.get(desk.store.cursor(), "pipeline", id)
    now = Pipeline.model_validate(definition.body)
    read = source(desk, now.source)
    if read.connector != "upload" or read.shape is None or not is_watched(read.shape):
        return None
    drifting = begin(desk, now, definition.version, read)
    for segment in received(desk, read):
        drifting.took(segment)
        watch_beginning(desk, read, segment, drifting.watch)
    findings = drifting.findings()
    if not findings:
        return None
    return Drift(NO_RUN, id, definition.version, findings, drifting.watch.look(), "open", "", desk.now())


def known_of(desk: Desk, loading: Pipeline, version: int) -> Known | None:
    """What is known of the source this version was written for: as learned, or from the payload it was made with."""
    with desk.store.cursor() as cursor:
        found = kept.known(cursor, loading.id, version)
    then = _source_then(desk, loading, version)
    if found is not None:
        before = then if found.version == version else _source_then(desk, loading, found.version)
        # Whoever saves a mapping after a newer file was brought has seen that file.
        if then is None or before is None or _payload(then) == _payload(before):
            return replace(found, version=version)
    if then is None or then.shape is None or not is_watched(then.shape):
        return None
    try:
        segment = _looked_at(desk, then)
        if segment is None:
            return Known(loading.id, version, Look())
        return Known(loading.id, version, look_at(desk, then, [segment]), (segment.sha256,))
    except SpireError:
        # A payload that is no longer kept: the first run learns what there is.
        return Known(loading.id, version, Look())


def look_at(desk: Desk, read: Source, segments: Sequence[Segment]) -> Look:
    """A look at the beginning of payloads."""
    assert read.shape is not None  # noqa: S101  callers have made sure
    watch = Watch(read.shape)
    for segment in segments:
        watch_beginning(desk, read, segment, watch)
    return watch.look()


def watch_beginning(desk: Desk, read: Source, segment: Segment, watch: Watch) -> None:
    """Look at the beginning of a payload."""
    assert read.shape is not None  # noqa: S101  callers have made sure
    with desk.landing.open(segment) as stream:
        for number, chunk in enumerate(reader(read.shape).read(stream, read.shape, LOOK_BYTES)):
            watch.see(chunk)
            if number >= LOOK_CHUNKS or watch.looking.rows >= LOOK_ROWS:
                break


def planned_fields(
    fields: dict[str, SourceField], reads: Sequence[str], known: Look | None, guard: Guard | None
) -> dict[str, SourceField]:
    """A source's fields with those a plan reads besides: known ones that are gone, and the one that tells of others."""
    paths = {f.name: f.path for f in known.fields} if known else {}
    missing = {name: SourceField(name=name, path=paths.get(name, ())) for name in reads if name not in fields}
    extra = guard.extra if guard is not None else None
    return {**fields, **missing, **({extra.name: extra} if extra is not None else {})}


def fields_read(loading: Pipeline) -> set[str]:
    """The source fields a pipeline's mappings read."""
    found = {m.explode for m in loading.mappings if m.explode}
    for mapping in loading.mappings:
        found |= {name for way in lineage(mapping).values() for name in way.sources}
    return found


def word_of(kind: str) -> str:
    """Which part of a contract speaks of a kind of finding; a renamed field is one that went."""
    return _WORD_OF[kind]


def _source_then(desk: Desk, loading: Pipeline, version: int) -> Source | None:
    """The pipeline's source as it stood when that version of the pipeline was saved."""
    with desk.store.cursor() as cursor:
        saved = definitions.get(cursor, "pipeline", loading.id, version)
        versions = [d for d in definitions.versions(cursor, "source", loading.source) if not d.deleted]
    found = next((d for d in versions if d.at <= saved.at), versions[-1] if versions else None)
    return Source.model_validate(found.body) if found else None


def _payload(read: Source) -> object:
    """What tells a source's payload from a newer one: of a connector, nothing does."""
    return (read.config.get("upload"), read.config.get("number")) if read.connector == "upload" else read.id


def _looked_at(desk: Desk, read: Source) -> Segment | None:
    if read.connector == "upload":
        return received(desk, read)[0]
    there = desk.landing.segments(f"look-{read.id}")
    return there[-1] if there else None
