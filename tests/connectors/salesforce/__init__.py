"""Salesforce, from a stand-in that keeps to the vendor's contract: an object of contacts and how it is read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from connectors import payloads_of
from engine.model import Source
from engine.ports import Cursor
from tests.connectors.reading import read as read_payload
from tests.servers.salesforce import Reply, Salesforce

HERE = ("127.0.0.1",)
RECORDS = 45
Page = tuple[list[dict[str, Any]], Cursor | None]


def contact(number: int, minute: int | None = None, **further: Any) -> dict[str, Any]:
    at = number if minute is None else minute
    return {
        "Id": f"003{number:012d}AAA", "LastName": f"Name, \"{number}\"\nsecond line", "Email": f"p{number}@example.com",
        "Account.Name": "Example GmbH", "SystemModstamp": f"2026-01-01T{at // 60:02}:{at % 60:02}:00.000Z", **further,
    }  # fmt: skip


def source(org: Salesforce, **config: Any) -> Source:
    given = {"object": "Contact", "overlap": 0, **config}
    return Source(id="s", name="s", connector="salesforce", config=org.config(**given))


def taken(from_: Source, since: Cursor | None = None) -> list[Page]:
    """Each page's records, as a run reads them, and the cursor after it."""
    pages = []
    for payload in payloads_of(from_, since, HERE):
        body = payload.stream.read()
        if payload.media_type == "text/csv":
            names = body.split(b"\n", 1)[0].decode().replace('"', "").split(",")
            rows = [dict(zip(names, row, strict=True)) for row in read_payload(body, name=payload.name).rows]
        else:
            rows = [json.loads(row[0]) for row in read_payload(body, name=payload.name).rows] if body else []
            rows = [row for row in rows if "Id" in row]
        pages.append((rows, payload.cursor))
    return pages


def ids(pages: list[Page]) -> list[str]:
    return [row["Id"] for rows, _ in pages for row in rows]


def everything(org: Salesforce) -> set[str]:
    return {record["Id"] for record in org.objects["Contact"]}


WAYS = pytest.mark.parametrize(
    "way", [{"transfer": "query"}, {"transfer": "bulk", "page_size": 10}], ids=["query", "bulk"]
)


def once(part: str, reply: Reply) -> Any:
    """The reply to the first request for an address with this part in it."""
    left = [reply]
    return lambda method, path: left.pop() if part in path and left else None
