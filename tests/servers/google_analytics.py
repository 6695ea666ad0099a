"""A loopback stand-in for the Google Analytics Data API v1beta, built from its published contract.

Requests are parsed strictly with Google's own protos, tokens are checked against the account's public key, and
reports are summed up from rows as they would be: paged, with quotas, and with what is said of sampling.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from google.analytics.data_v1beta.types import RunReportRequest
from google.protobuf import json_format

from tests.servers.loopback import Asked, Loopback, Reply, answering, certified
from tests.servers.salesforce import own_pair

ACCOUNT, PROPERTY = "reader@project.iam.gserviceaccount.com", "1234567"
AUDIENCE = "https://analyticsdata.googleapis.com/"
DIMENSIONS = ("date", "pagePath", "sessionSource", "country", "deviceCategory", "customEvent:team")
METRICS = ("sessions", "activeUsers", "screenPageViews")
COST = 10

Row = dict[str, Any]
Trouble = Callable[[str, str], "Reply | None"]


@dataclass
class Analytics(Loopback):
    """The interface with one property: its rows, what is left of its quota, and how it is to misbehave.

    `trouble` is asked before each request, with method and path; what it gives is the answer. `ahead` is how
    far its clock is before ours, `announce` how many rows it says it has beyond those that come.
    """

    rows: list[Row] = field(default_factory=list)
    per_day: int = 200_000
    per_hour: int = 40_000
    announce: int = 0
    metadata: dict[str, Any] = field(default_factory=dict)
    readers: set[str] = field(default_factory=lambda: {ACCOUNT})
    ahead: timedelta = timedelta()
    trouble: Trouble = lambda method, path: None
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.private_key, self.public_key = own_pair()
        context, self.authority = certified("127.0.0.1", "changing.example")
        super().__init__(answering(self.answer), context)

    def key(self, **change: str) -> str:
        """The account's key, as the file that Google gives."""
        info = {"type": "service_account", "project_id": "project", "private_key_id": "0123abcd"}
        info |= {"private_key": self.private_key, "client_email": ACCOUNT}
        return json.dumps({**info, "token_uri": "https://oauth2.googleapis.com/token", **change})

    def config(self, **further: Any) -> dict[str, Any]:
        """A configuration that signs in."""
        where = {"url": self.url, "authority": self.authority}
        return {**where, "property": PROPERTY, "key": self.key(), **further}

    def answer(self, asked: Asked) -> Reply:
        """One request to the interface."""
        token = asked.headers.get("authorization", "").removeprefix("Bearer ")
        refused = self.trouble(asked.method, asked.path) or self._refused(token)
        if refused:
            return refused
        found = re.fullmatch(r"/v1beta/properties/(\d+)(/metadata|:runReport)", asked.path)
        if not found:
            return _error(404, "NOT_FOUND", "Requested entity was not found.")
        if found[1] != PROPERTY or ACCOUNT not in self.readers:
            said = "User does not have sufficient permissions for this property."
            return _error(403, "PERMISSION_DENIED", said)
        if found[2] == "/metadata":
            return 200, {}, self._offered()
        return self._report(asked.body)

    def _refused(self, token: str) -> Reply | None:
        """What is wrong with a token that an account signed for itself."""
        now = datetime.now(UTC) + self.ahead
        try:
            options = {"verify_exp": False, "verify_iat": False}
            claims = jwt.decode(
                token, self.public_key, algorithms=["RS256"], audience=AUDIENCE, options=options
            )
        except jwt.PyJWTError:
            claims = {}
        good = claims.get("exp", 0) > now.timestamp() and claims["exp"] - claims["iat"] <= 3600
        if not good or {claims["iss"], claims["sub"]} != {ACCOUNT}:
            said = "Request had invalid authentication credentials. Expected OAuth 2 access token."
            return _error(401, "UNAUTHENTICATED", said)
        self.tokens.add(token)
        return None

    def _offered(self) -> dict[str, Any]:
        kinds = {"dimensions": DIMENSIONS, "metrics": METRICS}
        told = {
            kind: [{"apiName": name, "uiName": name.title(), "category": "Page / screen"} for name in names]
            for kind, names in kinds.items()
        }
        return {"name": f"properties/{PROPERTY}/metadata", **told}

    def _report(self, body: bytes) -> Reply:
        try:
            asked = RunReportRequest.wrap(json_format.Parse(body, RunReportRequest.pb(RunReportRequest())))
        except json_format.ParseError as error:
            return _error(400, "INVALID_ARGUMENT", str(error))
        self.asked.append(("runReport", json.loads(body)))
        dimensions, metrics = [d.name for d in asked.dimensions], [m.name for m in asked.metrics]
        for kind, names, known in (("dimension", dimensions, DIMENSIONS), ("metric", metrics, METRICS)):
            for name in names:
                if name not in known:
                    return _error(400, "INVALID_ARGUMENT", f"Field {name} is not a valid {kind}.")
        if len(dimensions) > 9 or len(metrics) > 10 or asked.limit > 250_000:
            return _error(400, "INVALID_ARGUMENT", "The request is too large.")
        if min(self.per_day, self.per_hour) <= 0:
            said = "Exhausted property tokens per hour. These quota tokens will return in under an hour."
            return _error(429, "RESOURCE_EXHAUSTED", said)
        self.per_day, self.per_hour = max(self.per_day - COST, 0), max(self.per_hour - COST, 0)
        between = asked.date_ranges[0]
        begin, end = between.start_date.replace("-", ""), between.end_date.replace("-", "")
        sums: dict[tuple[str, ...], list[int]] = defaultdict(lambda: [0] * len(metrics))
        for row in self.rows:
            if begin <= row["date"] <= end:
                held = sums[tuple(str(row.get(name, "(not set)")) for name in dimensions)]
                for place, name in enumerate(metrics):
                    held[place] += int(row.get(name, 0))
        order = [dimensions.index(o.dimension.dimension_name) for o in asked.order_bys]
        lines = sorted(sums.items(), key=lambda line: [line[0][place] for place in order])
        chosen = lines[asked.offset : asked.offset + (asked.limit or 10_000)]
        answer: dict[str, Any] = {
            "dimensionHeaders": [{"name": name} for name in dimensions],
            "metricHeaders": [{"name": name, "type": "TYPE_INTEGER"} for name in metrics],
            "metadata": {"currencyCode": "EUR", "timeZone": "Europe/Berlin", **self.metadata},
            "kind": "analyticsData#runReport",
        }
        if chosen:
            answer["rows"] = [
                {
                    "dimensionValues": [{"value": value} for value in values],
                    "metricValues": [{"value": str(figure)} for figure in figures],
                }
                for values, figures in chosen
            ]
        # Google leaves out what is zero.
        if len(lines) + self.announce:
            answer["rowCount"] = len(lines) + self.announce
        if asked.return_property_quota:
            left = {"tokensPerDay": self.per_day, "tokensPerHour": self.per_hour}
            answer["propertyQuota"] = {
                name: {"consumed": COST, **({"remaining": tokens} if tokens else {})}
                for name, tokens in left.items()
            }
        return 200, {}, answer


def _error(code: int, status: str, said: str, reason: str = "") -> Reply:
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com"}
    details = {"details": [info]} if reason else {}
    return code, {}, {"error": {"code": code, "message": said, "status": status, **details}}


def disabled() -> Reply:
    """What Google says where the interface is not switched on in the key's project."""
    said = "Google Analytics Data API has not been used in project 42 before or it is disabled."
    return _error(403, "PERMISSION_DENIED", said, "SERVICE_DISABLED")
