"""A REST interface that answers in JSON, page by page, in any of the usual ways.

Each page is a payload, exactly as it came. A round that was interrupted begins anew from its beginning, since
most interfaces number pages that shift while one reads; the time or number up to which all is read moves with
the last page only, and what comes twice is found unchanged.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

import httpx
import orjson
from pydantic import BaseModel, Field, field_validator, model_validator

from connectors.moments import moment_of
from connectors.registry import Reach, connector
from connectors.signing import Asking, SigningIn, json_of
from connectors.stages import CREDENTIAL, failed, led_to
from connectors.web import Fetched, Turned, origin, refuse, shown, tls, web_address
from engine.errors import SpireError, Stop
from engine.ports import Cursor, Payload, Stage

MOST_PAGES = 100_000

Value = str | int | float


class NotRecords(Stop):
    """The answer does not hold records where this source expects them."""


class Unfollowable(Stop):
    """The interface says there is more and gives no way to it, so what it has beyond is not taken for read."""


class Asked(BaseModel):
    """What is asked, where the records are, and how pages and news are asked for."""

    url: str = Field(title="Address", description="Address to ask, with fixed parameters.", max_length=4000)
    body: str = Field(
        title="Body to post",
        json_schema_extra={"lines": 4},
        default="",
        description="JSON to post; none means that it is asked by GET.",
        max_length=20_000,
    )
    records: str = Field(
        default="",
        description="Where the records stand in the answer, such as data.items; none: it is a list.",
        max_length=500,
    )
    pages: Literal["none", "page", "offset", "cursor", "next", "link"] = Field(
        json_schema_extra={
            "meanings": {
                "none": "all in one answer",
                "page": "by number",
                "offset": "by offset",
                "cursor": "by a mark in the answer",
                "next": "by an address in the answer",
                "link": "by a Link header",
            }
        },
        default="none",
        description="How pages follow: by number, by offset, by a mark or an address in the answer, by Link header.",
    )
    page_name: str = Field(
        title="Page parameter", default="page", description="Parameter that carries number, offset or mark."
    )
    first_page: int = Field(
        json_schema_extra={"further": True}, default=1, ge=0, description="Number of the first page."
    )
    size_name: str = Field(
        title="Page size parameter", default="", description="Parameter that carries the page size."
    )
    size: int = Field(title="Page size", default=100, ge=1, le=100_000, description="Page size to ask for.")
    next_path: str = Field(
        title="Next page",
        default="",
        description="Where the next mark or address stands in the answer, such as meta.next.",
    )
    since_name: str = Field(
        title="News parameter", default="", description="Parameter that asks for news only."
    )
    since_path: str = Field(
        title="Time of change",
        default="",
        description="Field of a record that says when it was changed, such as modified.",
    )
    since_form: Literal["iso", "date", "epoch", "plain"] = Field(
        title="News parameter's form",
        json_schema_extra={
            "meanings": {
                "iso": "2026-01-31T06:00:00Z",
                "date": "2026-01-31",
                "epoch": "seconds since 1970",
                "plain": "as it stands in the record",
            },
            "further": True,
        },
        default="iso",
        description="How the parameter is written.",
    )
    since_wrap: str = Field(
        title="News parameter's wrapping",
        json_schema_extra={"further": True},
        default="{}",
        description="How it stands in the parameter, such as >={}.",
        pattern=r"^[^{}]*\{\}[^{}]*$",
    )
    until_name: str = Field(
        title="End parameter",
        json_schema_extra={"further": True},
        default="",
        description="Parameter for the end of the time asked for, where one is demanded.",
    )
    window_days: int = Field(
        json_schema_extra={"further": True},
        default=0,
        ge=0,
        le=3660,
        description="Most days that may be asked for at once; 0 for no limit.",
    )
    since_first: str = Field(
        title="First news",
        json_schema_extra={"further": True},
        default="",
        description="Where the first run begins; none: it asks for all.",
    )
    overlap: float = Field(
        json_schema_extra={"further": True},
        default=300.0,
        ge=0,
        description="Seconds (or units) before the last value to ask again.",
    )

    @field_validator("url")
    @classmethod
    def _address(cls, value: str) -> str:
        return web_address(value)


@connector("rest", title="REST interface", summary="Records of a web interface that answers in JSON")
class Config(SigningIn, Asked):
    """What to ask, and how to sign in."""

    @model_validator(mode="after")
    def _whole(self) -> Config:
        if self.pages in ("cursor", "next") and not self.next_path:
            raise ValueError("say where the next page stands in the answer: Next page, next_path")
        if bool(self.since_name) != bool(self.since_path):
            raise ValueError("News parameter and Time of change (since_name, since_path) belong together")
        try:
            orjson.loads(self.body or "{}")
        except orjson.JSONDecodeError:
            raise ValueError("body: it is not JSON") from None
        return self


def check(config: Config, reach: Reach) -> Iterator[Stage]:
    """Name, TLS, sign-in, records; each failure with what to do."""
    stage = "name"
    try:
        context = tls(config.authority, config.certificate.get_secret_value())
        sent = CREDENTIAL if config.auth != "none" else ""
        yield from led_to(config.url, reach, sent=sent, context=context)
        stage = "sign-in"
        asking = Asking(config.url, config, reach)
        everything = _Span(None)
        url = _address(config, _Place(config.first_page), everything)
        found = asking.fetch(url, _body(config, everything))
        refuse(found.status, found.url)
        yield Stage("sign-in", True, f"status {found.status}, {len(found.body):,} bytes")
        stage = "records"
        records = _records(config, json_of(found), found.url)
        yield Stage("records", True, f"{len(records):,} on the first page")
    except SpireError as error:
        yield failed(stage, error, _ADVICE[stage])


_ADVICE = {
    "name": "Check the address.",
    "sign-in": "Check how to sign in.",
    "records": "Say where the records stand.",
}


def answer(config: Config, reach: Reach) -> Any:
    """The first page's JSON, wherever in it the records stand."""
    everything = _Span(None)
    url = _address(config, _Place(config.first_page), everything)
    found = Asking(config.url, config, reach).fetch(url, _body(config, everything))
    refuse(found.status, found.url)
    return json_of(found)


def hint(config: Config) -> dict[str, object]:
    """How its payloads are to be read: the records stand where a person said."""
    return {"record_path": config.records.split(".")} if config.records else {}


def read(config: Config, since: Cursor | None, reach: Reach) -> Iterator[Payload]:
    """The pages of one round, each as it came; the last one moves the cursor."""
    asking, told = Asking(config.url, config, reach), (since or {}).get("since")
    begin = told if isinstance(told, str | int | float) else config.since_first or None
    for span in _spans(config, begin, datetime.now(UTC)):
        yield from _round(config, asking, span)


def _round(config: Config, asking: Asking, span: _Span) -> Iterator[Payload]:
    place, reached, seen = _Place(config.first_page), span.begin, set[bytes]()
    for number in range(1, MOST_PAGES + 1):
        found = asking.fetch(_address(config, place, span), _body(config, span))
        refuse(found.status, found.url)
        answer = json_of(found)
        records = _records(config, answer, found.url)
        reached = _latest(config, records, reached)
        look = hashlib.sha256(found.body).digest()
        following = _following(config, place, answer, found, len(records))
        if following is not None and records and look in seen:
            raise Unfollowable(f"{shown(config.url)}: the same page comes again and again.")
        seen.add(look)
        last = following is None
        if records or (last and number > 1):
            mark = (span.end or reached) if last else span.begin
            cursor: Cursor = {"since": mark} if mark is not None else {}
            yield Payload(f"page-{number}.json", io.BytesIO(found.body), cursor, "application/json")
        if following is None:
            return
        place = following
    raise Unfollowable(f"{shown(config.url)}: more than {MOST_PAGES:,} pages.")


# ── pages ────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Span:
    """What a round asks for: news from `begin` on (None: everything), up to `end` where one is asked for."""

    begin: Value | None
    until: str = ""
    end: str = ""


def _spans(config: Config, begin: Value | None, now: datetime) -> Iterator[_Span]:
    """The rounds to ask for: one, or several where an interface allows only so many days at once.

    `end` is set on those that stop before now: after such a round everything up to there is read.
    """
    start = _time(begin) if isinstance(begin, str) else None
    if not config.until_name or start is None:
        yield _Span(begin)
        return
    width = timedelta(days=config.window_days or 36_600)
    while start + width < now:
        end = start + width
        yield _Span(start.isoformat(), _form(config, end), end.isoformat())
        start = end
    yield _Span(start.isoformat(), _form(config, now))


@dataclass(frozen=True)
class _Place:
    """Where a round is: the number of the page, how many records came before, the mark or address given."""

    page: int
    offset: int = 0
    mark: str = ""


def _following(config: Config, place: _Place, answer: Any, found: Fetched, count: int) -> _Place | None:
    """The place after a page; None where the round is over. What came counts, not what a total announces."""
    if config.pages in ("page", "offset"):
        # A page shorter than asked for may still not be the last: only an empty one says so.
        return _Place(place.page + 1, place.offset + count) if count else None
    if config.pages in ("cursor", "next"):
        mark = _at(answer, config.next_path)
        return (
            _Place(place.page + 1, place.offset + count, str(mark)) if mark not in (None, "", False) else None
        )
    if config.pages == "link":
        link = httpx.Response(200, headers=found.headers).links.get("next", {}).get("url", "")
        return _Place(place.page + 1, place.offset + count, link) if link else None
    return None


def _address(config: Config, place: _Place, span: _Span) -> str:
    """The address of a page. An address that an answer gave must stay with the host we were told."""
    if config.pages in ("next", "link") and place.mark:
        url = urljoin(config.url, place.mark)
        if origin(url) != origin(config.url):
            raise Turned(
                f"{shown(config.url)}: the next page is at another host.", action=f"It is {shown(url)}."
            )
        return _with(url, config.in_query)
    params: dict[str, str] = {}
    if config.size_name:
        params[config.size_name] = str(config.size)
    if config.pages == "page":
        params[config.page_name] = str(place.page)
    elif config.pages == "offset":
        params[config.page_name] = str(place.offset)
    elif config.pages == "cursor" and place.mark:
        params[config.page_name] = place.mark
    if not config.body:
        params |= _news(config, span)
    return _with(config.url, {**params, **config.in_query})


def _with(url: str, params: dict[str, str]) -> str:
    parts = urlsplit(url)
    kept = [
        (name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in params
    ]
    return urlunsplit(parts._replace(query=urlencode([*kept, *params.items()])))


def _body(config: Config, span: _Span) -> bytes | None:
    if not config.body:
        return None
    value = orjson.loads(config.body)
    return orjson.dumps({**value, **_news(config, span)} if isinstance(value, dict) else value)


def _news(config: Config, span: _Span) -> dict[str, str]:
    """The parameters that ask for news only."""
    if not config.since_name or span.begin is None:
        return {}
    found = {config.since_name: config.since_wrap.format(_written(config, span.begin))}
    return {**found, config.until_name: span.until} if span.until else found


# ── records and news ─────────────────────────────────────────────────────────────────────────────────


def _records(config: Config, answer: Any, url: str) -> list[Any]:
    found = _at(answer, config.records) if config.records else answer
    if isinstance(found, list):
        return found
    if answer is None:  # an empty body: nothing to tell
        return []
    raise NotRecords(
        f"{shown(url)}, at {config.records or 'the top'}: a JSON {type(found).__name__}, not a list.",
        action=f"There are: {', '.join(map(str, answer))[:300]}." if isinstance(answer, dict) else "",
    )


def _at(value: Any, path: str) -> Any:
    """What stands at a dotted path; None where nothing does."""
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _latest(config: Config, records: list[Any], reached: Value | None) -> Value | None:
    """The latest value of the field that says when a record was changed."""
    if not config.since_path:
        return None
    values = [_at(record, config.since_path) for record in records]
    known = [v for v in [*values, reached] if isinstance(v, str | int | float) and _order(v) is not None]
    return max(known, key=lambda v: _order(v) or 0.0, default=reached)


def _order(value: Value) -> float | None:
    if isinstance(value, int | float):
        return float(value)
    moment = _time(value)
    if moment is not None:
        return moment.timestamp()
    try:
        return float(value)
    except ValueError:
        return None


def _time(text: str) -> datetime | None:
    # Some write the zone out, as no standard has it.
    return moment_of(text.removesuffix(" UTC"))


def _written(config: Config, begin: Value) -> str:
    """The value to ask from, less the overlap, as the interface wants it written."""
    moment = _time(begin) if isinstance(begin, str) else None
    if config.since_form == "plain" or (moment is None and config.since_form != "epoch"):
        return str(begin) if isinstance(begin, str) else str(begin - config.overlap)
    if moment is None:
        moment = datetime.fromtimestamp(float(begin), UTC)
    return _form(config, moment - timedelta(seconds=config.overlap))


def _form(config: Config, moment: datetime) -> str:
    at = moment.astimezone(UTC)
    forms = {"date": "%Y-%m-%d", "iso": "%Y-%m-%dT%H:%M:%S.000Z"}
    return str(int(at.timestamp())) if config.since_form == "epoch" else at.strftime(forms[config.since_form])
