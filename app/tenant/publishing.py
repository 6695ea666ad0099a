"""Publishing: records go to another system page by page, and each page is answered for before the next is sent."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import orjson
import pyarrow as pa

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
from storage import definitions, publications
from storage.definitions import NotFound
from storage.disk import DiskFull
from storage.filters import Filter
from storage.publications import Page

log = logging.getLogger(__name__)

# Records to a page: what is sent again if a delivery is cut short.
PAGE = 5_000
NO_STIX = "It has no form in STIX 2.1."


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
    hidden = secrets_of(found.connector)
    config = {name: value for name, value in found.config.items() if name not in hidden}
    return definitions.address({**found.model_dump(mode="json", exclude={"id", "name"}), "config": config})


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


def start(desk: Desk, id: str, *, by: str, anew: bool = False) -> int:
    """Start a delivery in the background and return its number."""
    definition = definitions.get(desk.store.cursor(), "publication", id)
    found = Publication.model_validate(definition.body)
    with desk.working(), desk.starting:
        if any(one.publication == id for one in publications.under_way(desk.store.cursor())):
            raise GoingAlready(found.name, action="Wait for its end, or cancel it.")
        place = place_of(found)
        number = publications.begin(desk.store, id, definition.version, place, by, desk.now(), anew=anew)
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
    """Deliver page after page from where it stands, as the publication was when the delivery was begun."""
    cursor = desk.store.cursor()
    entered = publications.get(cursor, id, number)
    found = publication(desk, id, entered.version)
    model, wanted, at = model_of(desk, found), filter_of(found), entered.reached
    # What tells it from every other publication anywhere, whatever it is called by now.
    own = f"{desk.tenant}:{id}:{definitions.get(cursor, 'publication', id, 1).at.isoformat()}"
    with given(desk, sink_of(found), f"delivery {number} of {found.name}") as ready:
        while page := publications.page(cursor, model, wanted, at, entered.until, PAGE):
            sent, refused = 0, list[Refused]()
            outgoing = _outgoing(desk, model, page, found, own, refused)
            for part in write(ready.source, outgoing, desk.settings.url_allow, ready.bound):
                sent += part.sent
                refused += part.refused
                if progress.cancelled.is_set():
                    raise Cancelled()
            if sent + len(refused) != page.rows.num_rows:
                raise Unbalanced(f"{sent + len(refused):,} for {page.rows.num_rows:,} records.")
            publications.took(desk.store, number, sent, refused, page.reached)
            at = page.reached


def _outgoing(
    desk: Desk, model: TargetModel, page: Page, found: Publication, own: str, refused: list[Refused]
) -> Outgoing:
    """A page in the form its sink asks for; records without such a form are refused by us."""
    batches = page.rows.to_batches()

    def columns() -> Iterator[pa.RecordBatch]:
        return (typed(batch, schema_of(model)) for batch in batches)

    def objects() -> Iterator[dict[str, Any]]:
        stix.refuse(model)
        for row in dictionaries(batches):
            text = stix.object_of(model, row)
            if text is None:
                refused.append(Refused(", ".join(str(row.get(name)) for name in model.key), NO_STIX))
            else:
                yield orjson.loads(text)

    return Outgoing(
        model, model.key, columns, objects,
        lambda: misp_events.events(
            model, batches, publication=own, title=found.name,
            sighted=lambda ids: publications.sighted(desk.store.cursor(), ids),
        ),
    )  # fmt: skip
