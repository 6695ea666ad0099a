"""Rounds through a Salesforce object: which records are asked for, page by page, and how far all is read."""

from __future__ import annotations

import io
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import quote_plus

from pyarrow import csv, string
from simple_salesforce import Salesforce
from simple_salesforce.bulk2 import Operation, QueryResult, _Bulk2Client

from connectors.moments import in_utc, moment_of
from connectors.salesforce_org import Gone, NotReadable, Org
from connectors.signing import BrokenAnswer
from engine.errors import Retry, Stop
from engine.ports import Cursor, Payload

STAMP = "SystemModstamp"
LEAST, BY_QUERY, IN_BULK = 200, 2_000, 20_000
RESTARTS = 3
# Salesforce takes an address of 16,384 bytes, and the client puts the query into it.
_ADDRESS_BYTES = 16_000
_POLL, _PATIENCE = 10.0, 3600.0


class Unfollowable(Stop):
    """Salesforce says there is more and gives no way to it, so what it has beyond is not taken for read."""


class Withheld(Retry):
    """Salesforce announced more records than it gave. We will ask for them again at the next run."""


class NotReady(Retry):
    """The bulk job took too long. We will begin anew at the next run."""


@dataclass(frozen=True)
class Wanted:
    """What is asked, in SOQL: all of it, or what changed since a time, where changes can be followed."""

    select: str
    where: str
    follows: bool
    object: str
    deleted: bool
    size: int | None
    overlap: float
    begin: datetime | None

    def soql(self, after: str | None, *, ordered: bool = True, select: str = "") -> str:
        """The query for what changed since a stamp, less the overlap; None means from the beginning."""
        moment = moment_of(after)
        begin = moment - timedelta(seconds=self.overlap) if moment else self.begin
        news = [f"{STAMP} >= {_stamp(begin)}"] if begin and self.follows else []
        conditions = " AND ".join([*([f"({self.where})"] if self.where else []), *news])
        parts = [select or self.select, f"WHERE {conditions}" if conditions else ""]
        if ordered and self.follows:
            parts.append(f"ORDER BY {STAMP}, Id")
        return " ".join(filter(None, parts))


@dataclass
class Mark:
    """The stamp up to which all is read: `after` at first, then what the records say.

    A record changed since the round `begun` has a stamp of its own time at the place of the old one: it says
    nothing about the others, and comes again in the next round.
    """

    after: str | None
    begun: str | None
    reached: str | None = None
    ordered: bool = True

    def saw(self, stamps: Iterable[Any]) -> None:
        """Take note of a page's stamps."""
        for moment in map(moment_of, stamps):
            stamp = _stamp(moment) if moment else ""
            if stamp and stamp <= (self.begun or ""):
                self.ordered = self.ordered and stamp >= (self.reached or "")
                self.reached = max(stamp, self.reached or "")

    @property
    def so_far(self) -> str | None:
        """In the middle of a round in order of stamps: what is still to come has this one or a later one."""
        return self.at_end if self.ordered else self.after

    @property
    def at_end(self) -> str | None:
        return max(filter(None, (self.after, self.reached)), default=None)


def _known(since: Cursor) -> str | None:
    """The stamp a cursor names, as we write stamps."""
    moment = moment_of(since.get("modified"))
    return _stamp(moment) if moment else None


def _cursor(wanted: Wanted, modified: str | None, **further: object) -> Cursor:
    """Never none: a round that was interrupted is read on, or anew."""
    at = {"modified": modified} if modified and wanted.follows else {}
    return {"object": wanted.object, **at, **further}


def _stamp(moment: datetime) -> str:
    """A time as SOQL writes it, always of one length: so stamps order as text does."""
    at = in_utc(moment)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}Z"


# ── by query ─────────────────────────────────────────────────────────────────────────────────────────


def by_query(org: Org, wanted: Wanted, since: Cursor) -> Iterator[Payload]:
    """The pages of one round; where Salesforce forgets where we are, on from the last page that came."""
    # The object has just been described: whatever is stamped up to then is in the round, or comes later.
    clock = org.door.clock
    mark = Mark(_known(since), _stamp(datetime.fromtimestamp(clock, UTC)) if clock else None)
    for tries_left in reversed(range(RESTARTS + 1)):
        try:
            yield from _round(org, wanted, mark)
            return
        except Gone:
            if not tries_left:
                raise
            mark = Mark(mark.so_far, mark.begun)


def _round(org: Org, wanted: Wanted, mark: Mark) -> Iterator[Payload]:
    soql = wanted.soql(mark.after)
    if len(quote_plus(soql)) > _ADDRESS_BYTES:
        raise NotReadable(
            f"The query has {len(soql):,} characters, more than fit into an address.",
            action="Choose fewer fields, or read in bulk.",
        )
    batch = {"Sforce-Query-Options": f"batchSize={min(max(wanted.size or BY_QUERY, LEAST), BY_QUERY)}"}
    answer = org.ask(lambda client: client.query(soql, include_deleted=wanted.deleted, headers=batch))
    count, number, seen = 0, 0, set[str]()
    while True:
        records, following = answer.get("records"), str(answer.get("nextRecordsUrl") or "")
        if not isinstance(records, list) or org.door.last is None:
            raise BrokenAnswer(f"{org.host}: no records in its answer.")
        if following in seen or not (following or answer.get("done", True)):
            raise Unfollowable(f"{org.host}, after {count + len(records):,} records.")
        body, count, number = org.door.last.body, count + len(records), number + 1
        if not following and count < int(answer.get("totalSize") or 0):
            _account(org, wanted, mark, count)
        mark.saw(record.get(STAMP) for record in records if isinstance(record, dict))
        if records or number > 1:
            cursor = _cursor(wanted, mark.so_far if following else mark.at_end)
            name = f"{wanted.object or 'query'}-{number}.json"
            yield Payload(name, io.BytesIO(body), cursor, "application/json")
        if not following:
            return
        seen.add(following)
        answer = org.ask(partial(_more, following, batch))


def _more(following: str, batch: dict[str, str], client: Salesforce) -> Any:
    return client.query_more(following, identifier_is_url=True, headers=batch)


def _account(org: Org, wanted: Wanted, mark: Mark, count: int) -> None:
    """Fewer came than were announced. Those that were deleted meanwhile are not counted any more."""
    if wanted.object:
        counting = wanted.soql(mark.after, ordered=False, select=f"SELECT COUNT() FROM {wanted.object}")
        told = org.ask(lambda client: client.query(counting, include_deleted=wanted.deleted))
        if int(told.get("totalSize") or 0) <= count:
            return
    raise Withheld(f"{org.host}: {count:,} came.")


# ── in bulk ──────────────────────────────────────────────────────────────────────────────────────────


def in_bulk(org: Org, wanted: Wanted, since: Cursor) -> Iterator[Payload]:
    """The rest of the job that the cursor names, as long as it is there; else a new job, and all of it."""
    if since.get("job"):
        try:
            yield from _pages(org, wanted, since, str(since["job"]))
            return
        except (Gone, NotReadable):
            # Salesforce keeps results for some days; the stamp beside the job says where that had begun.
            pass
    begun = _cursor(wanted, _known(since))
    soql = wanted.soql(_known(since), ordered=False)
    operation = Operation.query_all if wanted.deleted else Operation.query
    made = org.ask(lambda client: _bulk(client).create_job(operation, soql))
    yield from _pages(org, wanted, begun, str(made.get("id") or ""))


def _pages(org: Org, wanted: Wanted, since: Cursor, job: str) -> Iterator[Payload]:
    told = _finished(org, job)
    made, total = moment_of(told.get("createdDate")), int(told.get("numberRecordsProcessed") or 0)
    reached = str(since["reached"]) if since.get("reached") else None
    mark = Mark(_known(since), _stamp(made) if made else None, reached)
    locator, count = str(since.get("locator") or ""), int(str(since.get("read") or 0))
    while True:
        here = locator
        page = org.ask(partial(_page, job, here, wanted.size or IN_BULK))
        locator = page.get("locator") or ""
        if org.door.last is None or (locator and locator == here):
            raise Unfollowable(f"{org.host}, job {job}.")
        body = org.door.last.body
        rows, stamps = _stamps(body)
        if rows < page["number_of_records"]:
            raise BrokenAnswer(
                f"{org.host}: {rows:,} of a page's {page['number_of_records']:,} records came."
            )
        count += rows
        if not locator and count < total:
            raise Withheld(f"{org.host}: {count:,} of {total:,} came.")
        mark.saw(stamps)
        if rows or here:
            if locator:
                going = {"job": job, "locator": locator, "read": count, "reached": mark.reached}
                cursor = _cursor(wanted, mark.after, **going)
            else:
                cursor = _cursor(wanted, mark.at_end)
            name = f"{wanted.object or 'query'}-{job}-{here or 'first'}.csv"
            yield Payload(name, io.BytesIO(body), cursor, "text/csv")
        if not locator:
            return


def _page(job: str, locator: str, size: int, client: Salesforce) -> QueryResult:
    return _bulk(client).get_query_results(job, locator, size)


def _stamps(body: bytes) -> tuple[int, list[str | None]]:
    """How many rows a page has, broken ones among them, and the stamps in those that are whole."""
    broken = 0

    def passed(row: object) -> str:
        nonlocal broken
        broken += 1
        return "skip"

    if not body.strip():
        return 0, []
    table = csv.read_csv(
        io.BytesIO(body),
        csv.ReadOptions(use_threads=False, block_size=max(len(body), 1 << 16)),
        csv.ParseOptions(newlines_in_values=True, invalid_row_handler=passed),
        csv.ConvertOptions(
            include_columns=[STAMP], column_types={STAMP: string()}, include_missing_columns=True
        ),
    )
    return table.num_rows + broken, table.column(STAMP).to_pylist()


def _finished(org: Org, job: str) -> dict[str, Any]:
    """The job once it is complete. Errors: NotReady, Gone, NotReadable."""
    waited, pause = 0.0, 0.5
    while True:
        told = org.ask(lambda client: _bulk(client).get_job(job, True))
        if told.get("state") == "JobComplete":
            return told
        if told.get("state") == "Failed":
            why = str(told.get("errorMessage") or "no reason given")[:300]
            raise NotReadable(f"The job failed: {why}.", action="Correct what is asked, or read by query.")
        if told.get("state") == "Aborted":
            raise Gone(f"Somebody ended job {job}.")
        if waited >= _PATIENCE:
            raise NotReady(f"{org.host}, job {job}, after {waited / 60:.0f} minutes.")
        time.sleep(pause)
        waited, pause = waited + pause, min(pause * 1.5, _POLL)


def _bulk(client: Salesforce) -> _Bulk2Client:
    # The client's public way keeps the job and the locator to itself; a run that goes on needs both.
    return _Bulk2Client("", client.bulk2_url, dict(client.headers), client.session)
