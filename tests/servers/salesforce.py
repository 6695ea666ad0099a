"""A loopback stand-in for Salesforce, built from its published contract: no real organisation can run here.

OAuth 2.0 (JWT bearer with the signature checked, refresh tokens), describe, SOQL over a real SQL engine with
`nextRecordsUrl`, Bulk API 2.0 query jobs with locators, limits, and the errors in the vendor's form.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
import secrets
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, unquote

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.servers.loopback import Asked, Loopback, Reply, answering, certified

APP, USER, SECRET, REFRESH = "3MVG9.app", "reader@example.com", "hush-of-the-app", "5Aep861-refresh"
VERSION = "62.0"
_DATA = f"/services/data/v{VERSION}"
_SOQL = re.compile(
    r"SELECT (?P<fields>.+?) FROM (?P<object>\w+)(?: WHERE (?P<where>.+?))?"
    r"(?: ORDER BY (?P<order>[\w, ]+?))?(?: LIMIT (?P<limit>\d+))?$",
    re.IGNORECASE | re.DOTALL,
)
_MOMENT = re.compile(r"(?<![\w'])(\d{4}-\d\d-\d\dT[\d:.]+)(Z|[+-]\d\d:?\d\d)")

Record = dict[str, Any]
Trouble = Callable[[str, str], "Reply | None"]


def pair() -> tuple[str, Any]:
    """A private key as PEM, and the public key that a connected app would know by its certificate."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key.private_bytes(*form).decode(), key.public_key()


# Making one takes longer than most tests: the servers of a process share one.
own_pair = cache(pair)


@dataclass
class Job:
    """A bulk query job and its results, which stay as they were when it ran."""

    told: dict[str, Any]
    names: list[str]
    rows: list[tuple[Any, ...]]
    polls: int = 0


@dataclass
class Salesforce(Loopback):
    """The organisation: its objects, who may sign in, its limits, and how it is to misbehave.

    `trouble` is asked before each request to the API, with method and path; what it gives is the answer.
    `page` is the most records of a page by query.
    """

    objects: dict[str, list[Record]] = field(default_factory=dict)
    types: dict[str, dict[str, str]] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    page: int = 2000
    daily: int = 15_000
    used: int = 0
    rotates: bool = False
    refresh: str = REFRESH
    announce: int = 0
    trouble: Trouble = lambda method, path: None
    asked: list[tuple[str, str]] = field(default_factory=list)
    sign_ins: list[dict[str, str]] = field(default_factory=list)
    sessions: set[str] = field(default_factory=set)
    locators: dict[str, tuple[list[Record], int]] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.private_key, self.public_key = own_pair()
        self._number = itertools.count(1)
        context, self.authority = certified("127.0.0.1", "changing.example")
        super().__init__(answering(self.answer), context)

    def config(self, **further: Any) -> dict[str, Any]:
        """A configuration that signs in by jwt."""
        signing = {"client_id": APP, "username": USER, "private_key": self.private_key}
        return {"login": self.url, "authority": self.authority, **signing, **further}

    def add(self, name: str, *records: Record) -> None:
        """Put records into an object; those with an Id that is there already are changed."""
        for record in records:
            whole = {"IsDeleted": False, **record}
            there = self.objects.setdefault(name, [])
            same = next((n for n, each in enumerate(there) if each["Id"] == record["Id"]), None)
            if same is None:
                there.append(whole)
            else:
                there[same] = {**there[same], **record}

    # ── signing in ───────────────────────────────────────────────────────────────────────────────────

    def token(self, form: dict[str, str], host: str) -> Reply:
        """The token endpoint: RFC 7523 and RFC 6749 §6, as Salesforce answers them at a domain of one's own."""
        here = f"https://{host}"
        self.sign_ins.append(form)
        if form.get("grant_type") == "urn:ietf:params:oauth:grant-type:jwt-bearer":
            try:
                claims = jwt.decode(
                    form.get("assertion", ""), self.public_key, algorithms=["RS256"], audience=here
                )
            except jwt.ExpiredSignatureError:
                return _grant("expired authorization code")
            except jwt.InvalidAudienceError:
                return _grant("audience is invalid")
            except jwt.PyJWTError:
                return _grant("invalid assertion")
            if claims["exp"] > time.time() + 300:
                return _grant("expired authorization code")
            if claims["iss"] != APP:
                return (
                    400,
                    {},
                    {"error": "invalid_client_id", "error_description": "client identifier invalid"},
                )
            if claims["sub"] != USER:
                return _grant("user hasn't approved this consumer")
        elif form.get("grant_type") == "refresh_token":
            if (form.get("client_id"), form.get("client_secret")) != (APP, SECRET):
                return 400, {}, {"error": "invalid_client", "error_description": "invalid client credentials"}
            if form.get("refresh_token") != self.refresh:
                return _grant("expired access/refresh token")
            if self.rotates:
                self.refresh = f"{REFRESH}-{secrets.token_hex(8)}"
        else:
            return (
                400,
                {},
                {"error": "unsupported_grant_type", "error_description": "grant type not supported"},
            )
        token = f"00D!{secrets.token_urlsafe(20)}"
        self.sessions.add(token)
        rotated = {"refresh_token": self.refresh} if self.rotates else {}
        answer = {"access_token": token, "instance_url": here, "token_type": "Bearer", "scope": "api"}
        return 200, {}, {**answer, "id": f"{here}/id/00D/005", **rotated}

    # ── the API ──────────────────────────────────────────────────────────────────────────────────────

    def answer(self, asked: Asked) -> Reply:
        """One request, to the token endpoint or to the API."""
        self.asked.append((asked.method, unquote(asked.target)))
        if asked.path == "/services/oauth2/token":
            form = dict(parse_qsl(asked.body.decode()))
            reply = self.trouble("POST", asked.path) or self.token(form, asked.headers["host"])
        else:
            reply = self.trouble(asked.method, asked.target) or self.api(asked)
        status, headers, said = reply
        return status, {"Sforce-Limit-Info": f"api-usage={self.used}/{self.daily}", **headers}, said

    def api(self, asked: Asked) -> Reply:
        """One request of a session that holds."""
        query, headers = asked.query, asked.headers
        if headers.get("authorization", "").removeprefix("Bearer ") not in self.sessions:
            return _error(401, "INVALID_SESSION_ID", "Session expired or invalid")
        if self.used >= self.daily:
            return _error(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
        self.used += 1
        rest = asked.path.removeprefix(_DATA).strip("/").split("/")
        if rest == ["sobjects"]:
            listed = [
                {"name": n, "label": n, "queryable": True, "custom": n.endswith("__c")} for n in self.objects
            ]
            return 200, {}, {"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": listed}
        if rest[0] == "sobjects" and rest[2:] == ["describe"]:
            return self._describe(rest[1])
        if rest == ["limits"]:
            left = {"Max": self.daily, "Remaining": self.daily - self.used}
            return (
                200,
                {},
                {"DailyApiRequests": left, "DailyBulkV2QueryJobs": {"Max": 10000, "Remaining": 9998}},
            )
        if rest == ["limits", "recordCount"]:
            names = query["sObjects"].split(",") if "sObjects" in query else list(self.objects)
            counts = [{"name": n, "count": len(self.objects[n])} for n in names if n in self.objects]
            return 200, {}, {"sObjects": counts}
        if rest[0] in ("query", "queryAll"):
            size = re.search(r"batchSize=(\d+)", headers.get("sforce-query-options", ""))
            size_of = min(self.page, int(size[1])) if size else self.page
            return (
                self._more(rest[1], size_of) if len(rest) > 1 else self._query(rest[0], query["q"], size_of)
            )
        if rest[:2] == ["jobs", "query"]:
            return self._bulk(asked.method, rest[2:], query, asked.body)
        return _error(404, "NOT_FOUND", "The requested resource does not exist")

    def _describe(self, name: str) -> Reply:
        if name not in self.objects or name in self.hidden:
            return _error(404, "NOT_FOUND", "The requested resource does not exist")
        fields = [{"name": n, "type": t, "label": n} for n, t in self._fields(name).items() if "." not in n]
        return 200, {}, {"name": name, "label": name, "queryable": True, "fields": fields}

    def _fields(self, name: str) -> dict[str, str]:
        kinds = {"Id": "id", "SystemModstamp": "datetime", "IsDeleted": "boolean"}
        seen = dict.fromkeys(key for record in self.objects[name] or [kinds] for key in record)
        return {key: self.types.get(name, {}).get(key, kinds.get(key, "string")) for key in seen}

    def _select(self, soql: str, everything: bool) -> tuple[str, list[str], list[tuple[Any, ...]]] | Reply:
        """The rows of a query, by SQLite: SOQL's few words that we take are SQL's."""
        asked = _SOQL.match(" ".join(soql.split()))
        if not asked:
            return _error(400, "MALFORMED_QUERY", f"unexpected token: {soql[:40]}")
        name = asked["object"]
        if name not in self.objects or name in self.hidden:
            return _error(400, "INVALID_TYPE", f"sObject type '{name}' is not supported.")
        known = list(self._fields(name))
        names = [each.strip() for each in asked["fields"].split(",")]
        missing = [each for each in names if each not in known and each != "COUNT()"]
        if missing:
            where = "ERROR at Row:1:Column:8"
            said = (
                f"\nSELECT {missing[0]}\n       ^\n{where}\nNo such column '{missing[0]}' on entity '{name}'."
            )
            return _error(400, "INVALID_FIELD", said)
        with sqlite3.connect(":memory:") as database:
            quoted = ", ".join(f'"{each}"' for each in known)
            database.execute(f"CREATE TABLE {name} ({quoted})")
            marks = ", ".join("?" for _ in known)
            rows = [tuple(_plain(record.get(each)) for each in known) for record in self.objects[name]]
            database.executemany(f"INSERT INTO {name} VALUES ({marks})", rows)
            where = _MOMENT.sub(lambda found: f"'{_utc(found[0])}'", asked["where"] or "1=1")
            where = where.replace("!= null", "IS NOT NULL").replace("= null", "IS NULL")
            kept = "" if everything else " AND NOT IsDeleted"
            order = f" ORDER BY {asked['order']}" if asked["order"] else ""
            limit = f" LIMIT {asked['limit']}" if asked["limit"] else ""
            wanted = "*" if names == ["COUNT()"] else ", ".join(f'"{each}"' for each in names)
            try:
                found = database.execute(
                    f"SELECT {wanted} FROM {name} WHERE ({where}){kept}{order}{limit}"
                ).fetchall()
            except sqlite3.Error as error:
                return _error(400, "MALFORMED_QUERY", str(error))
        return name, names, found

    def _query(self, way: str, soql: str, size: int) -> Reply:
        name, names, rows = found = self._select(soql, way == "queryAll")
        if not isinstance(name, str):
            return found  # type: ignore[return-value]
        if names == ["COUNT()"]:
            return 200, {}, {"totalSize": len(rows) + self.announce, "done": True, "records": []}
        types = self._fields(name)  # type: ignore[arg-type]
        records = [_record(name, names, row, types) for row in rows]
        locator = f"01g{next(self._number):012d}AAA"
        self.locators[locator] = (records, len(records))
        return self._page(locator, 0, size)

    def _more(self, mark: str, size: int) -> Reply:
        locator, _, start = mark.rpartition("-")
        if locator not in self.locators:
            return _error(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
        return self._page(locator, int(start), size)

    def _page(self, locator: str, start: int, size: int) -> Reply:
        records, total = self.locators[locator]
        end = min(start + size, total)
        answer: dict[str, Any] = {"totalSize": total + self.announce, "done": end >= total}
        if end < total:
            answer["nextRecordsUrl"] = f"{_DATA}/query/{locator}-{end}"
        return 200, {}, {**answer, "records": records[start:end]}

    def _bulk(self, method: str, rest: list[str], query: dict[str, str], body: bytes) -> Reply:
        if method == "POST" and not rest:
            asked = json.loads(body)
            found = self._select(asked["query"], asked["operation"] == "queryAll")
            if not isinstance(found[0], str):
                return found  # type: ignore[return-value]
            name, names, rows = found
            told = {"id": f"750{next(self._number):015d}", "operation": asked["operation"], "object": name}
            told |= {"state": "UploadComplete", "createdDate": _utc(datetime.now(UTC).isoformat())}
            told |= {"contentType": "CSV", "lineEnding": "LF", "columnDelimiter": "COMMA", "apiVersion": 62.0}
            types = self._fields(name)  # type: ignore[arg-type]
            written = [_record(name, names, row, types, nested=False) for row in rows]  # type: ignore[arg-type]
            self.jobs[str(told["id"])] = Job(told, names, [tuple(r[n] for n in names) for r in written])  # type: ignore[arg-type]
            return 200, {}, told
        job = self.jobs.get(rest[0]) if rest else None
        if job is None:
            return _error(404, "NOT_FOUND", "The requested resource does not exist")
        if rest[1:] == ["results"]:
            start = int(query.get("locator", "0"), 36)
            end = min(start + int(query.get("maxRecords", "50000")), len(job.rows))
            out = io.StringIO()
            writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
            writer.writerow(job.names)
            writer.writerows(map(_cells, job.rows[start:end]))
            head = {
                "content-type": "text/csv",
                "Sforce-Locator": _base36(end) if end < len(job.rows) else "null",
            }
            return 200, {**head, "Sforce-NumberOfRecords": str(end - start)}, out.getvalue().encode()
        job.polls += 1
        if job.told["state"] in ("UploadComplete", "InProgress"):
            job.told["state"] = "InProgress" if job.polls < 2 else "JobComplete"
            job.told["numberRecordsProcessed"] = len(job.rows) + self.announce
        return 200, {}, job.told


def _cells(row: tuple[Any, ...]) -> list[str]:
    return ["" if v is None else str(v).lower() if isinstance(v, bool) else str(v) for v in row]


def _record(
    name: str, names: list[str], row: tuple[Any, ...], types: dict[str, str], *, nested: bool = True
) -> Record:
    """A record as JSON has it, with its attributes and related objects inside; or flat, as in CSV."""
    record: Record = {"attributes": {"type": name, "url": f"{_DATA}/sobjects/{name}/{row[0]}"}}
    for key, value in zip(names, row, strict=True):
        value = bool(value) if types[key] == "boolean" else value
        related, _, inner = key.rpartition(".")
        if related and nested:
            whole = record.setdefault(related, {"attributes": {"type": related}})
            whole[inner] = value
        else:
            moment = nested and types[key] == "datetime" and value
            record[key] = value.replace("Z", "+0000") if moment else value
    return record


def _plain(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, dict | list) else value


def _utc(text: str) -> str:
    at = datetime.fromisoformat(text).astimezone(UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}Z"


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, rest = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[rest] + digits
    return digits or "0"


def _error(status: int, code: str, said: str) -> Reply:
    return status, {}, [{"message": said, "errorCode": code}]


def _grant(said: str) -> Reply:
    return 400, {}, {"error": "invalid_grant", "error_description": said}
