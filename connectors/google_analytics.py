"""Google Analytics: figures of a property, day by day, and the last days once more while they still change.

Each window of days is a report of its own, read page by page; how far all is read moves with a window's last
page. Google goes on counting for some days, so each round begins that much before where the last one ended. Each
row says of its report whether it was sampled, and whether rows with few users were left out.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import orjson
from pydantic import Field, field_validator

from connectors.google_analytics_property import Property, SigningIn, quota_words
from connectors.registry import Reach, connector, reached
from connectors.signing import BrokenAnswer
from connectors.stages import CREDENTIAL, failed, led_to
from connectors.web import tls
from engine.errors import Retry, SpireError
from engine.ports import Cursor, Held, Payload, Place, Stage

DATE = "date"
MOST_DIMENSIONS, MOST_METRICS = 9, 10
FIRST_DAYS = 365


class Withheld(Retry):
    """Google announced more rows than it gave. We will ask for them again at the next run."""


@connector(
    "google_analytics",
    title="Google Analytics",
    summary="Figures of a property, by day and by what you choose",
    capabilities=["incremental"],
)
class Config(SigningIn):
    """Which property, and what to read of it."""

    dimensions: list[str] = Field(
        default=["pagePath", "sessionSource"],
        validate_default=True,
        description="What the figures are told apart by, besides the date, such as country.",
    )
    metrics: list[str] = Field(
        default=["sessions", "activeUsers", "screenPageViews"],
        description="The figures, such as sessions.",
    )
    since: date | None = Field(
        title="First day",
        default=None,
        examples=["2026-01-31"],
        description=f"Where the first run begins; none: {FIRST_DAYS} days ago.",
    )
    late_days: int = Field(
        title="Days to read again",
        default=3,
        ge=1,
        le=60,
        description="Google goes on counting for two days or so: so many of the last days are read each time.",
    )
    window_days: int = Field(
        title="Days at a time",
        json_schema_extra={"further": True},
        default=7,
        ge=1,
        le=366,
        description="Days in one report; fewer where Google samples, or sums rows up as (other).",
    )
    page_size: int = Field(
        json_schema_extra={"further": True},
        default=10_000,
        ge=1,
        le=50_000,
        description="Rows to ask for at a time.",
    )

    @field_validator("dimensions")
    @classmethod
    def _with_date(cls, value: list[str]) -> list[str]:
        chosen = list(dict.fromkeys([DATE, *(name.strip() for name in value if name.strip())]))
        if len(chosen) > MOST_DIMENSIONS:
            raise ValueError(f"Google takes {MOST_DIMENSIONS} at most, the date among them")
        return chosen

    @field_validator("metrics")
    @classmethod
    def _some(cls, value: list[str]) -> list[str]:
        chosen = list(dict.fromkeys(name.strip() for name in value if name.strip()))
        if not 1 <= len(chosen) <= MOST_METRICS:
            raise ValueError(f"choose between one and {MOST_METRICS}")
        return chosen


def check(config: Config, reach: Reach) -> Iterator[Stage]:
    """Name, TLS, sign-in, names asked for, first row and quota; each failure with what to do."""
    stage = "name"
    try:
        yield from led_to(config.url, reach, sent=CREDENTIAL, context=tls(config.authority, ""))
        stage = "sign-in"
        asked = Property(config, reach)
        known = _offered(asked)
        yield Stage("sign-in", True, f"{asked.email} may read {asked.name}")
        stage = "report"
        wanted = {"dimensions": config.dimensions, "metrics": config.metrics}
        missing = [
            n for kind, names in wanted.items() for n in names if n not in known[kind] and ":" not in n
        ]
        if missing:
            yield Stage("report", False, f"It has no {', '.join(missing)}.", "Choose from what it offers.")
            return
        until = _yesterday()
        page = _page(asked, config, _Window(until - timedelta(days=config.late_days - 1), until), 0, 1)
        yield Stage("report", True, _of_report(page))
        stage = "quota"
        yield Stage("quota", True, f"{quota_words(asked.left)} left" if asked.left else "it does not say")
    except SpireError as error:
        yield failed(stage, error, _ADVICE[stage])


_ADVICE = {
    "name": "Check the address.",
    "sign-in": "Check the property, the key, and that its account may read the property.",
    "report": "Check dimensions and metrics; not all go together.",
    "quota": "Try again.",
}


def cursor_told(config: Config, cursor: Cursor) -> str:
    """Where a cursor stands, in words."""
    through = _day(cursor.get("through"))
    if through is None:
        return f"No whole window of property {cursor.get('property')} has been read yet."
    again = f"the next run reads the last {config.late_days} of them again" if config.late_days > 1 else ""
    again = again or "the next run reads the last of them again"
    return f"All days of property {cursor.get('property')} up to {through}; {again}."


def cursor_doubt(config: Config, cursor: Cursor) -> str:
    """Why a cursor can't be one of this source; empty where it can."""
    if cursor.get("property") != config.property:
        return f"it is of property {cursor.get('property')}, and the source reads {config.property}"
    through = _day(cursor.get("through"))
    if "through" in cursor and through is None:
        return "through is no day"
    return "its day has not ended yet" if through and through > _yesterday() else ""


def browse(given: Mapping[str, Any], reach: Reach) -> list[Place]:
    """The dimensions and the metrics of the property, the customer's own among them."""
    offered = _offered(Property(reached(given, SigningIn), reach))
    return [
        Place(kind, kind, None, tuple(Held(name, words, name == DATE) for name, words in names.items()))
        for kind, names in offered.items()
    ]


def read(config: Config, since: Cursor | None, reach: Reach) -> Iterator[Payload]:
    """The rows of each window as lines of JSON, each page with the cursor after it."""
    asked = Property(config, reach)
    told = since if since and since.get("property") == config.property else {}
    through, came = _day(told.get("through")), False
    for window in _windows(config, through):
        for number, page in enumerate(_report(asked, config, window), 1):
            through = window.end if page.last else through
            # An empty report still says that its days are read, but nobody learns from it what rows look like.
            if page.rows or came or told:
                came = True
                name = f"{config.property}-{window.begin:%Y%m%d}-{window.end:%Y%m%d}-{number}.ndjson"
                at = {"through": through.isoformat()} if through else {}
                cursor: Cursor = {"property": config.property, **at}
                yield Payload(name, io.BytesIO(_lines(page)), cursor, "application/x-ndjson")


@dataclass(frozen=True)
class _Window:
    """Days of one report, both ends among them."""

    begin: date
    end: date


@dataclass(frozen=True)
class _Page:
    """One answer: the names its values belong to, its rows as they came, and all that it says of the report."""

    names: list[str]
    rows: list[Any]
    announced: int
    report: dict[str, Any]
    last: bool = False


def _windows(config: Config, through: date | None) -> Iterator[_Window]:
    """The days to ask for: from some days before the end of what is read, to yesterday."""
    until = _yesterday()
    first = config.since or until - timedelta(days=FIRST_DAYS - 1)
    begin = through - timedelta(days=config.late_days - 1) if through else first
    while begin <= until:
        end = min(begin + timedelta(days=config.window_days - 1), until)
        yield _Window(begin, end)
        begin = end + timedelta(days=1)


def _yesterday() -> date:
    """The last day to ask for, in UTC; where the property's own has not ended yet, it is read again later."""
    return datetime.now(UTC).date() - timedelta(days=1)


def _report(asked: Property, config: Config, window: _Window) -> Iterator[_Page]:
    """The pages of one report. What comes counts, not what is announced; fewer than that is no end."""
    offset = 0
    while True:
        page = _page(asked, config, window, offset, config.page_size)
        offset += len(page.rows)
        full = len(page.rows) >= config.page_size
        if not page.rows and offset < page.announced:
            raise Withheld(f"{asked.name}: {offset:,} of {page.announced:,} came.")
        last = not page.rows or (not full and offset >= page.announced)
        yield _Page(page.names, page.rows, page.announced, page.report, last)
        if last:
            return


def _page(asked: Property, config: Config, window: _Window, offset: int, limit: int) -> _Page:
    """One page of a report, in an order that is the same every time."""
    from google.analytics.data_v1beta.types import RunReportRequest

    request = RunReportRequest(
        property=asked.name,
        dimensions=[{"name": name} for name in config.dimensions],
        metrics=[{"name": name} for name in config.metrics],
        date_ranges=[{"start_date": window.begin.isoformat(), "end_date": window.end.isoformat()}],
        order_bys=[{"dimension": {"dimension_name": name}} for name in config.dimensions],
        offset=offset,
        limit=limit,
        return_property_quota=True,
    )
    answer = asked.ask(lambda client: client.run_report(request))
    heads = [*(answer.get("dimensionHeaders") or ()), *(answer.get("metricHeaders") or ())]
    names = [str(head.get("name")) for head in heads if isinstance(head, dict)]
    rows, told = answer.get("rows") or [], answer.get("metadata")
    if not isinstance(rows, list):
        raise BrokenAnswer(f"{asked.name}: its rows are no list.")
    beside = {name: value for name, value in answer.items() if name not in _OF_THE_PAGE}
    report = {"property": config.property, **(told if isinstance(told, dict) else {}), **beside}
    return _Page(names, rows, int(answer.get("rowCount") or 0), report)


# What an answer says of itself and not of the report: it differs from page to page, or stands in the rows.
_OF_THE_PAGE = ("dimensionHeaders", "metricHeaders", "rows", "rowCount", "metadata", "propertyQuota", "kind")


def _lines(page: _Page) -> bytes:
    """The rows with their values by name, and what is said of their report; a row in another form as it is."""
    return b"".join(orjson.dumps(_record(page, row)) + b"\n" for row in page.rows)


def _record(page: _Page, row: Any) -> Any:
    if not isinstance(row, dict):
        return row
    cells = [*(row.get("dimensionValues") or ()), *(row.get("metricValues") or ())]
    if len(cells) != len(page.names) or not all(isinstance(cell, dict) for cell in cells):
        return row
    record: dict[str, Any] = {}
    for name, cell in zip(page.names, cells, strict=True):
        record[name] = cell.get("value")
        record |= {f"{name}.{key}": value for key, value in cell.items() if key != "value"}
    beside = {key: value for key, value in row.items() if key not in ("dimensionValues", "metricValues")}
    return {**record, **beside, "report": page.report}


def _offered(asked: Property) -> dict[str, dict[str, str]]:
    """What the property can be asked for, by kind: each name with what it is, in words."""
    told = asked.ask(lambda client: client.get_metadata(name=f"{asked.name}/metadata"))
    return {
        kind: {
            str(each.get("apiName")): ": ".join(filter(None, (each.get("category"), each.get("uiName"))))
            for each in told.get(kind) or ()
        }
        for kind in ("dimensions", "metrics")
    }


def _of_report(page: _Page) -> str:
    """How many rows the last days have, and whether they are all of them."""
    said = [f"{page.announced:,} rows in the last days" if page.announced else "nothing in the last days"]
    if page.report.get("samplingMetadatas"):
        said.append("sampled: ask for fewer days at a time")
    if page.report.get("subjectToThresholding"):
        said.append("rows with few users are left out")
    if page.report.get("dataLossFromOtherRow"):
        said.append("rare rows are summed up as (other)")
    return "; ".join(said)


def _day(told: object) -> date | None:
    try:
        return date.fromisoformat(str(told))
    except ValueError:
        return None
