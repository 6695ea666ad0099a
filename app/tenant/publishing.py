"""Publishing: records go to another system page by page, and each page is answered for before the next is sent."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import orjson
import pyarrow as pa
from duckdb import DuckDBPyConnection

from app.tenant.asking import asked
from app.tenant.credential_use import given, secrets_of
from app.tenant.desk import Desk, Live, targets
from app.tenant.exports import dictionaries, misp_events, stix
from app.tenant.exports.columnar import schema_of, typed
from app.tenant.loading import told
from connectors import CONNECTORS, write
from engine.errors import Bug, SpireError, Stop
from engine.model import Source, TargetModel
from engine.ports import Outgoing, Refused
from engine.publication import Publication
from engine.run import Cancelled, Progress
from storage import definitions, publications, published
from storage.definitions import NotFound
from storage.disk import DiskFull
from storage.filters import Filter
from storage.publications import Page
from storage.published import Entry, Ledger

log = logging.getLogger(__name__)

# Records to a page: what is sent again if a delivery is cut short.
PAGE = 5_000
NO_STIX = "It has no form in STIX 2.1."
REVOKED = "It was revoked there, and STIX 2.1 (§3.6) lets nothing come back under its id."


class GoingAlready(Stop):
    """This publication is being delivered already."""


class NoSink(Stop):
    """Records can't be published through this connector."""


class Unbalanced(Bug):
    """The other side answered for another number of records than it was given."""


def publication(desk: Desk, id: str, version: int | None = None) -> Publication:
    """A publication by id and, where given, version."""
    return Publication.model_validate(definitions.get(desk.store.cursor(), "publication", id, version).body)


def place_of(found: Publication) -> str:
    """Where it goes and what, without its secrets: a new password is no new place."""
    what = found.model_dump(mode="json", exclude={"id", "name", "gone"})
    return definitions.address({**what, "config": _reached_by(found)})


def ledger_of(found: Publication) -> Ledger:
    """Where it is noted what was delivered to that place, whatever the filter was."""
    where = definitions.address({"connector": found.connector, "config": _reached_by(found)})
    return Ledger(found.id, where, found.target)


def _reached_by(found: Publication) -> dict[str, Any]:
    hidden = secrets_of(found.connector)
    return {name: value for name, value in found.config.items() if name not in hidden}


def sink_of(found: Publication) -> Source:
    """A publication as far as its connection goes."""
    return Source(id=found.id, name=found.name, connector=found.connector, config=found.config)


def model_of(desk: Desk, found: Publication) -> TargetModel:
    """Its target model; NotFound where that is gone."""
    known = targets(desk)
    if found.target not in known:
        raise NotFound(f"target model {found.target}.")
    return known[found.target]


def filter_of(found: Publication) -> Filter:
    return asked(found.search, found.match, list(found.where), None)


def holds(desk: Desk, found: Publication) -> None:
    """Whether it could be delivered: a connector that writes, a target model, a filter that is one."""
    connector = CONNECTORS.get(found.connector)
    if connector is None or "write" not in connector.capabilities:
        sinks = ", ".join(name for name, one in CONNECTORS.items() if "write" in one.capabilities)
        raise NoSink(found.connector, action=f"These take records: {sinks}.")
    model, cursor = model_of(desk, found), desk.store.cursor()
    publications.waiting(cursor, model, filter_of(found), publications.NOTHING)


def due(desk: Desk, found: Publication, model: TargetModel) -> tuple[int, int]:
    """How many records the next delivery would send, and how many it would take back."""
    cursor, asked = desk.store.cursor(), filter_of(found)
    if found.gone == "withdraw":
        ledger = ledger_of(found)
        return published.lacking(cursor, ledger, model, asked), published.leaving(
            cursor, ledger, model, asked
        )
    at = publications.reached(cursor, found.id, place_of(found))
    return publications.waiting(cursor, model, asked, at), 0


def start(desk: Desk, id: str, *, by: str, anew: bool = False) -> int:
    """Start a delivery in the background and return its number."""
    definition = definitions.get(desk.store.cursor(), "publication", id)
    found = Publication.model_validate(definition.body)
    with desk.working(), desk.starting:
        if any(one.publication == id for one in publications.under_way(desk.store.cursor())):
            raise GoingAlready(found.name, action="Wait for its end, or cancel it.")
        place = place_of(found)
        number = publications.begin(desk.store, id, definition.version, place, by, desk.now(), anew=anew)
        if anew:
            with desk.store.transaction() as cursor:
                published.again(cursor, ledger_of(found))
        _go(desk, id, number)
    return number


def resume(desk: Desk) -> None:
    """Go on with every delivery that was under way when the process died, behind its last page."""
    for each in publications.under_way(desk.store.cursor()):
        _go(desk, each.publication, each.delivery)


def cancel(desk: Desk, number: int) -> bool:
    """Ask a delivery to stop after the part it is at. False where it isn't under way."""
    live = desk.delivering.get(number)
    if live:
        live.progress.cancelled.set()
    return live is not None


def wait(desk: Desk, number: int, timeout: float) -> None:
    """Wait until a delivery has ended, or so many seconds."""
    live = desk.delivering.get(number)
    if live:
        live.done.wait(timeout)


def _go(desk: Desk, id: str, number: int) -> None:
    live = desk.delivering[number] = Live(Progress())
    working = ExitStack()
    working.enter_context(desk.working())
    live.thread = threading.Thread(
        target=_watched, args=(desk, id, number, live, working), name=f"delivery-{number}"
    )
    live.thread.start()


def _watched(desk: Desk, id: str, number: int, live: Live, working: ExitStack) -> None:
    """Deliver, and enter in the books how it ended, whatever it was that ended it."""
    state: str = "finished"
    error: dict[str, Any] | None = None
    try:
        with working:
            deliver(desk, id, number, live.progress)
    except Cancelled:
        # A worker that closes leaves its deliveries under way: the next one goes on with them.
        state = "running" if desk.closing.is_set() else "cancelled"
    except SpireError as stopped:
        state, error = "failed", told(stopped)
    except Exception as unexpected:
        # As in a run, the one broad except: its books say that it failed, and it stops alone.
        log.error("delivery %s met %s", number, type(unexpected).__name__, exc_info=unexpected)
        state = "failed"
        error = {"title": "Phantom Spire made a mistake here.", "where": type(unexpected).__name__}
    try:
        if state != "running":
            publications.end(desk.store, number, state, desk.now(), error)
    except DiskFull:
        log.error("delivery %s could not be closed: the disk is full", number)
    finally:
        desk.delivering.pop(number, None)
        live.done.set()


def deliver(desk: Desk, id: str, number: int, progress: Progress) -> None:
    """Deliver page after page from where it stands, as the publication was when the delivery was begun.

    One that withdraws goes by what was delivered and not by a place in the order of arrival: what an undone run
    brings back is older than what went, and what is gone has no place at all.
    """
    cursor = desk.store.cursor()
    entered = publications.get(cursor, id, number)
    found = publication(desk, id, entered.version)
    model, wanted, ledger = model_of(desk, found), filter_of(found), ledger_of(found)
    withdraws = found.gone == "withdraw"
    at = publications.NOTHING if withdraws else entered.reached
    # What tells it from every other publication anywhere, whatever it is called by now.
    own = f"{desk.tenant}:{id}:{definitions.get(cursor, 'publication', id, 1).at.isoformat()}"

    def through(outgoing: Outgoing, refused: list[Refused], records: int) -> tuple[int, int]:
        """How many records the other side has acknowledged, all others being refused, and how many of them say less."""
        sent = less = 0
        for part in write(ready.source, outgoing, desk.settings.url_allow, ready.bound, ready.renewing):
            sent, less = sent + part.sent, less + part.less
            refused += part.refused
            if progress.cancelled.is_set():
                raise Cancelled()
        if sent + len(refused) != records:
            raise Unbalanced(f"{sent + len(refused):,} for {records:,} records.")
        return sent, less

    with given(desk, sink_of(found), f"delivery {number} of {found.name}") as ready:
        while page := _next(cursor, found, model, wanted, at, entered.until):
            out = Outbox(model, page.rows)
            if withdraws:
                out.back = published.withdrawn(cursor, ledger, out.keys)
            sent, less = through(_outgoing(desk, out, found, own), out.refused, page.rows.num_rows)
            kept = (ledger, out.entries()) if withdraws else None
            publications.took(desk.store, number, sent, out.refused, page.reached, kept, less)
            at = page.reached
        last = -1
        while withdraws and (left := published.left(cursor, ledger, model, wanted, last, PAGE)):
            refused = list[Refused]()
            gone, _ = through(
                Outgoing(model, model.key, gone=tuple(one.gone for one in left)), refused, len(left)
            )
            kept_there = {one.id for one in refused}
            keys = [one.key for one in left if one.gone.id not in kept_there]
            publications.took_back(desk.store, number, gone, refused, (ledger, keys, desk.now()))
            last = left[-1].key


def _next(
    cursor: DuckDBPyConnection, found: Publication, model: TargetModel, wanted: Filter, at: int, until: int
) -> Page | None:
    if found.gone != "withdraw":
        return publications.page(cursor, model, wanted, at, until, PAGE)
    rows = published.missing(cursor, ledger_of(found), model, wanted, at, until, PAGE)
    return Page(rows, rows.column("_seq")[-1].as_py()) if rows is not None else None


class Outbox:
    """A page on its way: which of its records are refused, and what each of the others becomes over there.

    `back` are the key hashes of those that were withdrawn there before, `called` the ids they are refused by where
    the form they go in has its own.
    """

    def __init__(self, model: TargetModel, rows: pa.Table) -> None:
        self.model, self.rows = model, rows
        self.batches = rows.to_batches()
        self.refused: list[Refused] = []
        self.there: dict[str, str] = {}
        self.called: dict[str, str] = {}
        self.back: set[int] = set()
        named = rows.select([*model.key, "_kh", "_seq"]).to_pylist()
        self._places = [(self.id(row), row["_kh"], row["_seq"], row) for row in named]

    @property
    def keys(self) -> list[int]:
        return [key for _, key, _, _ in self._places]

    @property
    def back_ids(self) -> set[str]:
        """What those that were withdrawn are called."""
        return {id for id, key, _, _ in self._places if key in self.back}

    def id(self, row: dict[str, Any]) -> str:
        """What a person knows a record by."""
        return ", ".join(str(row.get(name)) for name in self.model.key)

    def by_key(self) -> None:
        """Each becomes the row of its key."""
        for id, _, _, row in self._places:
            self.there[id] = orjson.dumps([str(row[name]) for name in self.model.key]).decode()

    def entries(self) -> list[Entry]:
        """The page as the ledger takes it. What is refused became nothing."""
        refused = {one.id for one in self.refused}
        known = ((id, self.called.get(id, id), key, seq) for id, key, seq, _ in self._places)
        return [
            Entry(key, seq, id, "" if refused & {id, called} else self.there.get(id, ""))
            for id, called, key, seq in known
        ]


def _outgoing(desk: Desk, out: Outbox, found: Publication, own: str) -> Outgoing:
    """A page in the form its sink asks for; records without such a form are refused by us."""
    model, batches = out.model, out.batches

    def columns() -> Iterator[pa.RecordBatch]:
        out.by_key()
        return (typed(batch, schema_of(model)) for batch in batches)

    def objects() -> Iterator[dict[str, Any]]:
        stix.refuse(model)
        back = out.back_ids
        for row in dictionaries(batches):
            text, id = stix.object_of(model, row), out.id(row)
            made = orjson.loads(text) if text is not None else {}
            # What came whole keeps its maker; what we made of a record is ours.
            ours = stix.made_here(row)
            if text is None:
                out.refused.append(Refused(id, NO_STIX))
            elif ours and id in back and "modified" in made:
                out.refused.append(Refused(id, REVOKED))
            else:
                out.called[id] = made["id"]
                out.there[id] = orjson.dumps({"id": made["id"], "own": ours}).decode()
                yield made

    def events() -> Iterator[dict[str, Any]]:
        made = misp_events.events(
            model, batches, publication=own, title=found.name, back=out.back_ids,
            sighted=lambda ids: publications.sighted(desk.store.cursor(), ids),
        )  # fmt: skip
        for piece in made:
            for uuid, ids in piece["records"].items() if piece.get("own") else ():
                there = orjson.dumps({"event": piece["Event"]["uuid"], "uuid": uuid}).decode()
                out.there |= dict.fromkeys(ids, there)
            yield piece

    return Outgoing(model, model.key, columns, objects, events)
