"""Salesforce: the records of one object, page by page as the organisation gives them, then only what changed.

By query, pages come in the order of SystemModstamp, which every change moves; so each page's end is a place to go
on from. In bulk, a job's results are pages with a locator each, and they stay there for days: the cursor names
both. Each round asks again for some minutes before the last stamp: a record may be committed later than stamped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field

from connectors.credential_hosts import place
from connectors.moments import moment_of
from connectors.registry import Reach, connector, reached
from connectors.salesforce_org import NotReadable, Org, SigningIn
from connectors.salesforce_rounds import BY_QUERY, IN_BULK, STAMP, Wanted, by_query, in_bulk
from connectors.stages import CREDENTIAL, failed, led_to
from connectors.web import port_of, tls
from engine.errors import SpireError
from engine.ports import Cursor, Held, Payload, Place, Stage

# Types whose parts are fields of their own, or that only come one by one.
_LEFT_OUT = ("address", "location", "base64")


@connector(
    "salesforce",
    title="Salesforce",
    summary="Records of an object, and what changes of them",
    capabilities=["incremental"],
)
class Config(SigningIn):
    """How to sign in, and what to read."""

    object: str = Field(
        default="",
        pattern=r"^\w*$",
        max_length=80,
        description="Object to read, by its API name, such as Contact.",
    )
    fields: list[str] = Field(
        default=[], description="Fields, such as Email or Account.Name; none means all of the object's own."
    )
    where: str = Field(
        title="Condition",
        default="",
        max_length=20_000,
        description="Condition in SOQL, such as Email != null.",
    )
    query: str = Field(
        json_schema_extra={"lines": 4, "further": True},
        default="",
        max_length=100_000,
        description="A whole query in SOQL, in place of an object; each run reads all of it.",
    )
    transfer: Literal["query", "bulk"] = Field(
        json_schema_extra={
            "meanings": {"query": "page by page, at once", "bulk": "as a job, for many records"}
        },
        title="Read by",
        default="query",
        description="query: page by page, at once; bulk: by a job, for some ten thousand records and more.",
    )
    deleted: bool = Field(
        title="Deleted records too",
        default=False,
        description="Also what is in the recycle bin; IsDeleted says so.",
    )
    since: datetime | None = Field(
        title="Begin at",
        default=None,
        examples=["2026-01-31T00:00:00Z"],
        description="Read only what changed after this time; none: everything.",
    )
    overlap: float = Field(
        json_schema_extra={"further": True},
        default=600.0,
        ge=0,
        le=86_400,
        description="Seconds before the last change to read again.",
    )
    page_size: int | None = Field(
        json_schema_extra={"further": True},
        default=None,
        ge=1,
        le=50_000,
        description=f"Records to ask for at a time; none: {BY_QUERY:,} by query, {IN_BULK:,} in bulk.",
    )


def hosts(config: Config) -> tuple[str, ...]:
    """Where its secrets go: to the sign-in. The organisation's own host gets the session only."""
    return (place(urlsplit(config.login).hostname or "", port_of(config.login)),)


def check(config: Config, reach: Reach) -> Iterator[Stage]:
    """Name, TLS, sign-in, object, limits, first record; each failure with what to do."""
    stage = "name"
    try:
        org = Org(config, reach)
        yield from led_to(config.login, reach, sent=CREDENTIAL, context=tls(config.authority, ""))
        stage = "sign-in"
        org.sign_in()
        yield Stage("sign-in", True, f"signed in at {org.host}")
        stage = "object"
        wanted = _wanted(org, config)
        yield Stage("object", True, _followed(wanted))
        stage = "limits"
        yield Stage("limits", True, _limits(org))
        stage = "first record"
        soql = wanted.soql(None, ordered=False) + ("" if config.query else " LIMIT 1")
        found = org.ask(lambda client: client.query(soql, include_deleted=config.deleted))
        yield Stage("first record", True, "there is one" if found.get("records") else "nothing in it yet")
    except SpireError as error:
        yield failed(stage, error, _ADVICE[stage])


_ADVICE = {
    "name": "Check the address.",
    "sign-in": "Check the connected app, its key and the user.",
    "object": "Check the object's name and what the user may see.",
    "limits": "Try again.",
    "first record": "Try again, or ask the organisation's administrator.",
}


def read(config: Config, since: Cursor | None, reach: Reach) -> Iterator[Payload]:
    """Pages of records, as they came, each with the cursor after it."""
    org = Org(config, reach)
    wanted = _wanted(org, config)
    known = since if since and since.get("object") == config.object else {}
    yield from (in_bulk if config.transfer == "bulk" else by_query)(org, wanted, known)


def cursor_told(config: Config, cursor: Cursor) -> str:
    """Where a cursor stands, in words."""
    if cursor.get("job"):
        return f"{cursor.get('read', 0):,} records of {cursor.get('object')} in, in the middle of bulk job {cursor['job']}."
    if not cursor.get("modified"):
        return f"{cursor.get('object') or 'The query'} gives no position: each run asks for everything."
    again = f"; the next run reads the {config.overlap:g} seconds before it again" if config.overlap else ""
    return f"Every change of {cursor.get('object')} up to {cursor['modified']}{again}."


def cursor_doubt(config: Config, cursor: Cursor) -> str:
    """Why a cursor can't be one of this source; empty where it can."""
    if cursor.get("object") != config.object:
        return f"it is of {cursor.get('object') or 'no object'}, and the source reads {config.object or 'a query'}"
    return "modified is no time" if "modified" in cursor and moment_of(cursor["modified"]) is None else ""


def browse(given: Mapping[str, Any], reach: Reach) -> list[Place]:
    """The objects that may be read, with about how many records they have; the one that is given first, with its fields."""
    org, chosen = Org(reached(given, SigningIn), reach), str(given.get("object") or "")
    fields = fields_of(org, chosen) if chosen else {}
    held = tuple(Held(name, type, name == "Id") for name, type in fields.items() if type not in _LEFT_OUT)
    listed = org.ask(lambda client: client.describe()).get("sobjects") or []
    counted = org.ask(lambda client: client.restful("limits/recordCount")).get("sObjects") or []
    rows = {each.get("name"): each.get("count") for each in counted}
    names = [str(each["name"]) for each in listed if each.get("queryable")]
    # An organisation has hundreds of objects, most of them the vendor's own and empty: the largest stand first.
    names.sort(key=lambda each: (each != chosen, -(rows.get(each) or 0), each))
    return [Place(each, "object", rows.get(each), held if each == chosen else ()) for each in names]


def _wanted(org: Org, config: Config) -> Wanted:
    """What to ask; the object is described each time, so a field that is new is read with the others."""
    common: dict[str, Any] = {
        "object": config.object,
        "deleted": config.deleted,
        "size": config.page_size,
        "overlap": config.overlap,
        "begin": config.since,
    }
    if config.query:
        if config.object:
            raise NotReadable("There are an object and a query.", action="Give one of them.")
        return Wanted(config.query.strip().rstrip(";"), "", False, **common)
    if not config.object:
        raise NotReadable("No object is chosen.", action="Say which, such as Contact.")
    there = fields_of(org, config.object)
    if not there:
        raise NotReadable(f"{config.object} shows this user no field.", action="Let the user see its fields.")
    missing = [name for name in config.fields if "." not in name and name not in there]
    if missing:
        raise NotReadable(
            f"{config.object} has no field {', '.join(missing)}, or this user may not see it.",
            action=f"There are: {', '.join(there)[:1000]}.",
        )
    always = [name for name in ("Id", STAMP, *(["IsDeleted"] if config.deleted else [])) if name in there]
    own = [name for name, type in there.items() if type not in _LEFT_OUT]
    chosen = dict.fromkeys([*always, *config.fields] if config.fields else own)
    select = f"SELECT {', '.join(chosen)} FROM {config.object}"
    return Wanted(select, config.where, STAMP in there, **common)


def fields_of(org: Org, object: str) -> dict[str, str]:
    """The fields of an object that the user may see, each with its type."""
    told = org.ask(lambda client: client.restful(f"sobjects/{object}/describe"))
    return {str(field["name"]): str(field.get("type")) for field in told.get("fields", ())}


def _followed(wanted: Wanted) -> str:
    if not wanted.object:
        return "a query of its own; each run reads all of it"
    fields = wanted.select.count(",") + 1
    return f"{wanted.object}, {fields:,} fields; " + (
        "changes are followed" if wanted.follows else f"it has no {STAMP}, so each run reads all of it"
    )


def _limits(org: Org) -> str:
    """What is left of the day's requests and bulk jobs, as far as the user may see it."""
    try:
        told = org.ask(lambda client: client.limits())
    except NotReadable:
        return "this user may not see them"
    names = {"DailyApiRequests": "requests", "DailyBulkV2QueryJobs": "bulk jobs"}
    left = [
        f"{told[name].get('Remaining', 0):,} of {told[name].get('Max', 0):,} {words}"
        for name, words in names.items()
        if isinstance(told.get(name), dict)
    ]
    return f"{', '.join(left)} left today" if left else "it does not say"
