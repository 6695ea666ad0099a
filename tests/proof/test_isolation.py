"""Tenant A can't reach tenant B: by no route, query, path, header or identifier."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.app.conftest import PASSWORD
from tests.proof.serving import Installation, installation, patiently

ROLES = ("viewer", "analyst", "engineer", "administrator", "auditor")
SECRET = "BRAVOSECRET"
REFUSED = {400, 401, 403, 404, 405, 409, 413, 421, 422}
FEED = """indicator,type,first_seen,confidence,notes
{net}.1,ip,2024-03-01,85,{word}-one
{net}.2,ip,2024-03-02,70,{word}-two
{word}-rejected
"""


@dataclass
class Two:
    """Two tenants with data: keys and a signed-in user of alfa, and all identifiers of bravo."""

    place: Installation
    document: dict[str, Any]
    keys: dict[str, str]
    cookie: str
    bravo: dict[str, str]
    alfa: dict[str, str]

    def ask(self, method: str, path: str, key: str, **options: Any) -> httpx.Response:
        with self.place.client(key) as http:
            return http.request(method, path, **options)


def filled(place: Installation, tenant: str, net: str, word: str) -> dict[str, str]:
    """Load a feed; every kind of identifier the tenant then has."""
    with place.tenant(tenant) as client:
        payload = client.paste(FEED.format(net=net, word=word), f"{word}.csv")
        done = client.ingest_payload(payload.payload, target="indicator", source=f"{tenant}-feed", wait=60)
        assert (done.inserted, done.rejected) == (2, 1)
        begun = client.request("POST", "/uploads", json={"name": f"{word}-open.bin"}).json()["upload"]
        client.create_target({"name": f"{tenant}-model", "title": word, "key": ["a"],
                              "fields": [{"name": "a", "type": "text"}]})  # fmt: skip
        out = client.create_publication(
            name=f"{tenant}-out",
            connector="postgres",
            target="indicator",
            config={"host": word, "table": word},
        )
        return {
            "publication": out.publication.id,
            "payload": payload.payload,
            "upload": begun,
            "source": done.source,
            "pipeline": done.pipeline,
            "run": str(done.run),
            "reject": str(client.rejects().rejects[0].id),
            "record": str(client.records("indicator").rows[0]["_id"]),
            "model": f"{tenant}-model",
            "credential": client.create_credential(
                name=f"{tenant} key", value=f"{word}-key", hosts=["api.example"]
            ).id,
        }


@pytest.fixture(scope="module")
def two() -> Iterator[Two]:
    with installation("tests.proof.serve") as place:
        alfa = filled(place, "alfa", "192.0.2", "ALFAWORD")
        bravo = filled(place, "bravo", "198.51.100", SECRET)
        keys = {role: place.key("alfa", role) for role in ROLES}
        with place.client(cookie=place.admin) as http:
            document = http.get("/api/openapi.json").json()
            person = {
                "login": "al",
                "password": PASSWORD,
                "tenants": {"alfa": "administrator"},
            }
            http.post("/api/v1/users", json=person).raise_for_status()
        yield Two(place, document, keys, place.sign_in("al"), bravo, alfa)


def operations(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Every method and path under a tenant, as the API describes itself."""
    return [
        (method.upper(), path)
        for path, item in document["paths"].items()
        for method in item
        if path.startswith("/api/v1/tenants/{tenant}") and method != "parameters"
    ]


# What is one's own begins empty under any name: a query under way, a preference, a draft.
PERSONAL = ("/query/{name}", "/preferences/{name}", "/drafts/{subject}", "/drafts/{subject}/here")


def filled_in(path: str, two: Two, tenant: str, ids: dict[str, str]) -> str:
    """A path with the identifiers of `ids` in its places."""
    places = {
        "/uploads/{id}": ids["upload"],
        "/sources/{id}": ids["source"],
        "/pipelines/{id}": ids["pipeline"],
        "/publications/{id}": ids["publication"],
        "/rejects/{id}": ids["reject"],
        "/runs/{run}": ids["run"],
        "/drift/{run}": ids["run"],
        "/queries/saved/{id}": "their-query",
        "/templates/{id}": "their-template",
        "/feeds/{id}": "their-feed",
        "/credentials/{id}": ids["credential"],
        "/drafts/{subject}": f"pipeline:{ids['pipeline']}",
    }
    for template, value in places.items():
        path = path.replace(template, template[: template.index("{")] + value)
    for name, value in {"tenant": tenant, "target": "indicator", "key": ids["record"], "name": ids["model"],
                        "version": "1", "number": "1", "asked": "theirs", "seq": "999999",
                        "delivery": "999999"}.items():  # fmt: skip
        path = path.replace("{" + name + "}", value)
    assert "{" not in path, path
    return path


def test_every_route_of_another_tenant_is_refused_whatever_the_role(two: Two) -> None:
    asked = operations(two.document)
    assert len(asked) > 50
    before = overview(two, "bravo")
    with two.place.client() as nobody, two.place.client(cookie=two.cookie) as person:
        askers = {"nobody": nobody, "person": person}
        askers |= {role: two.place.client(key) for role, key in two.keys.items()}
        for method, path in asked:
            there = filled_in(path, two, "bravo", two.bravo)
            for who, http in askers.items():
                answer = http.request(method, there, json={}, headers={"upload-offset": "0"})
                assert answer.status_code == (401 if who == "nobody" else 403), (who, method, there)
                assert SECRET not in answer.text
        for role in ROLES:
            askers[role].close()
    assert overview(two, "bravo") == before


def overview(two: Two, tenant: str) -> list[Any]:
    """What a tenant holds."""
    with two.place.tenant(tenant, make=False) as client:
        sql = "SELECT (SELECT count(*) FROM versions.indicator), (SELECT count(*) FROM rejects WHERE state = 'open'), (SELECT count(*) FROM runs)"
        return [client.query(sql).rows, [p.pipeline.id for p in client.pipelines()], len(client.sources())]


def test_control_routes_show_a_tenants_administrator_nothing_of_another(two: Two) -> None:
    key = two.keys["administrator"]
    schedule = {"pipeline": two.bravo["pipeline"], "trigger": "interval", "spec": {"seconds": 600}}
    with two.place.client(cookie=two.place.admin) as http:
        made = http.post("/api/v1/schedules", params={"tenant": "bravo"}, json=schedule).raise_for_status()
        bravos_key = two.place.key("bravo", "viewer")
        key_id = next(k["id"] for k in http.get("/api/v1/api-keys").json() if k["prefix"] in bravos_key)
    id = made.json()["id"]
    for method, path, body in [
        ("GET", "/api/v1/tenants/bravo", None),
        ("DELETE", "/api/v1/tenants/bravo?confirm=bravo", None),
        ("GET", "/api/v1/schedules?tenant=bravo", None),
        ("POST", "/api/v1/schedules?tenant=bravo", schedule),
        ("GET", f"/api/v1/schedules/{id}?tenant=alfa", None),
        ("PUT", f"/api/v1/schedules/{id}?tenant=alfa", schedule),
        ("DELETE", f"/api/v1/schedules/{id}?tenant=alfa", None),
        ("POST", f"/api/v1/schedules/{id}/fire?tenant=alfa", None),
        ("GET", f"/api/v1/schedules/{id}/firings?tenant=alfa", None),
        ("DELETE", f"/api/v1/schedules/{id}?tenant=alfa&tenant=bravo", None),
        ("DELETE", f"/api/v1/schedules/{id}?tenant=bravo&tenant=alfa", None),
        ("POST", "/api/v1/api-keys", {"name": "x", "tenant": "bravo", "role": "viewer"}),
        ("POST", "/api/v1/api-keys", {"name": "x", "role": "administrator"}),
        ("DELETE", f"/api/v1/api-keys/{key_id}", None),
        ("GET", "/api/v1/users", None),
        ("GET", "/api/v1/audit", None),
    ]:
        for who in ("key", "person"):
            client = two.place.client(key) if who == "key" else two.place.client(cookie=two.cookie)
            with client as http:
                answer = http.request(method, path, json=body)
            if path.endswith("firings?tenant=alfa") and answer.status_code == 200:
                assert answer.json() == []
                continue
            assert answer.status_code in REFUSED, (who, method, path, answer.text)
            assert SECRET not in answer.text
    assert "bravo" not in two.ask("GET", "/api/v1/tenants", key).text
    assert "bravo" not in two.ask("GET", "/api/v1/api-keys", key).text
    with two.place.client(cookie=two.place.admin) as http:
        assert [s["id"] for s in http.get("/api/v1/schedules?tenant=bravo").json()] == [id]
        http.delete(f"/api/v1/schedules/{id}?tenant=bravo").raise_for_status()


def test_identifiers_of_another_tenant_find_nothing_in_ones_own(two: Two) -> None:
    key = two.keys["administrator"]
    # Numbers and hashes that alfa has as well lead to alfa's own.
    own = {"reject": "999999", "run": "999999"}
    for method, path in operations(two.document):
        if "{" not in path.removeprefix("/api/v1/tenants/{tenant}") or "/export/" in path:
            continue
        # What has no identifier of a tenant in it, or a built-in model's name.
        if ("/records/{target}" in path and "{key}" not in path) or path.endswith("/targets/{name}"):
            continue
        if path.endswith(PERSONAL):
            continue
        there = filled_in(path, two, "alfa", two.bravo | own)
        body = {"fields": {}} if method == "PATCH" else {}
        answer = two.ask(method, there, key, json=body, headers={"upload-offset": "0"})
        assert answer.status_code in REFUSED, (method, there, answer.status_code, answer.text)
        assert SECRET not in answer.text
    for body in (
        {"payload": two.bravo["payload"], "name": "x"},
        {"payload": two.bravo["upload"], "name": "x"},
        {"connector": "upload", "config": {"upload": two.bravo["payload"]}, "name": "x"},
        {"connector": "folder", "config": {"path": str(two.place.data / "tenants" / "bravo")}, "name": "x"},
        {"connector": "folder", "config": {"path": str(two.place.folder)}, "name": "x"},
        {"connector": "url", "config": {"url": two.place.url + "/health"}, "name": "x"},
        {"connector": "url", "config": {"url": f"file://{two.place.data}/control.db"}, "name": "x"},
    ):
        answer = two.ask("POST", "/api/v1/tenants/alfa/sources", key, json=body)
        assert answer.status_code in REFUSED, (body, answer.text)
    for path in (f"ingest?payload={two.bravo['payload']}", f"ingest?name=x&using={two.bravo['pipeline']}"):
        answer = two.ask("POST", f"/api/v1/tenants/alfa/{path}", key)
        assert answer.status_code in REFUSED, (path, answer.text)
    for path in (
        f"targets/{two.bravo['model']}",
        f"records/{two.bravo['model']}",
        f"export/{two.bravo['model']}",
    ):
        assert two.ask("GET", f"/api/v1/tenants/alfa/{path}", key).status_code == 404, path


def test_no_query_of_ones_own_names_another_tenants_data(two: Two) -> None:
    data, key = two.place.data, two.keys["administrator"]
    store = data / "tenants" / "bravo" / "store.duckdb"
    raw = next((data / "tenants" / "bravo" / "raw").rglob("*.seal"))
    for sql in (
        "SELECT * FROM bravo.records.indicator",
        "SELECT * FROM store.bravo.indicator",
        f"SELECT * FROM '{store}'",
        f'SELECT * FROM "{store}"',
        f"SELECT * FROM read_blob('{store}')",
        f"SELECT * FROM read_text('{raw}')",
        f"SELECT * FROM read_csv('{two.place.folder}/root.key')",
        f"SELECT content FROM read_blob('{data}/control.db')",
        f"SELECT * FROM glob('{data}/tenants/*/*')",
        "SELECT * FROM glob('../bravo/*')",
        "SELECT * FROM read_text('/proc/self/environ')",
        "SELECT * FROM sqlite_scan('control.db', 'tenants')",
        f"ATTACH '{store}' AS b",
        f"SELECT 1; ATTACH '{store}' AS b",
        f"COPY (SELECT 1) TO '{data}/tenants/bravo/x.csv'",
        f"WITH x AS (SELECT * FROM read_text('{raw}')) SELECT * FROM x",
        f"SELECT (SELECT content FROM read_text('{raw}'))",
        f"SELECT * FROM indicator WHERE description IN (SELECT content FROM read_text('{raw}'))",
        "SELECT * FROM duckdb_secrets()",
        "SELECT * FROM duckdb_databases()",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM pg_catalog.pg_class",
        "SELECT * FROM query('SELECT 1')",
        "SELECT * FROM query_table('store.spire.audit')",
        "SELECT * FROM store.spire.audit",
        "SELECT * FROM spire.definitions",
        "PRAGMA database_list",
        "CALL pragma_database_list()",
        "SELECT * FROM pragma_database_list()",
        "SET enable_external_access = true",
        "FROM read_text('/etc/passwd')",
        "TABLE 'x.csv'",
        "SUMMARIZE 'x.csv'",
        "DESCRIBE SELECT 1",
        "EXPLAIN SELECT 1",
        "INSERT INTO indicator SELECT * FROM indicator",
        "DELETE FROM rejects",
        "",
        "\x00",
        "SELECT" + "(" * 3000 + "1" + ")" * 3000,
    ):
        answer = two.ask("POST", "/api/v1/tenants/alfa/query", key, json={"sql": sql})
        assert answer.status_code in REFUSED, (sql[:80], answer.status_code, answer.text[:300])
        assert SECRET not in answer.text
    # What it may ask speaks of nothing but itself.
    for sql in (
        "SELECT getenv('HOME')",
        "SELECT current_setting('allowed_directories')",
        "SELECT current_database(), current_schemas(true)",
    ):
        answer = two.ask("POST", "/api/v1/tenants/alfa/query", key, json={"sql": sql})
        assert answer.status_code in {200, *REFUSED}, (sql, answer.text)
        assert "bravo" not in answer.text
    alive = two.ask("POST", "/api/v1/tenants/alfa/query", key, json={"sql": "SELECT count(*) FROM indicator"})
    assert alive.json()["rows"] == [[2]]


TRICKS = (
    "..", "../bravo", "..%2fbravo", "%2e%2e%2fbravo", "%252e%252e%252fbravo", "..%5cbravo", "alfa%2f..%2fbravo",
    "%00", "bravo%00", "%2fetc%2fpasswd", "//bravo", ".", "%0d%0aX-Spire-Role:%20administrator", "a" * 5000,
    "%ff%fe", "'%20OR%201=1--", "%22", "%F0%9F%92%A3", "-1", "99999999999999999999999", "1e5", "0x10", "NaN",
)  # fmt: skip


def test_no_trick_with_a_path_leads_elsewhere_or_breaks_anything(two: Two) -> None:
    key = two.keys["administrator"]
    templates = sorted(
        {path for _, path in operations(two.document) if "{" in path.removeprefix("/api/v1/tenants/{tenant}")}
    )
    with two.place.client(key) as http:
        for trick in TRICKS:
            # As the tenant's name.
            answer = raw_get(two, f"/api/v1/tenants/{trick}/sources", key)
            assert answer in REFUSED, trick
            answer = raw_get(two, f"/api/v1/tenants/alfa/{trick}/api/v1/tenants/bravo/sources", key)
            assert answer in REFUSED, trick
            for template in templates:
                path = template.replace("{tenant}", "alfa")
                while "{" in path:
                    path = path[: path.index("{")] + trick + path[path.index("}") + 1 :]
                answer = raw_get(two, path, key)
                assert answer in REFUSED, (path, answer)
        for name in (
            "../../bravo/x.csv",
            "/etc/passwd",
            "a\x00b.csv",
            "..",
            "C:\\x",
            "x" * 1024,
            "\u202e.csv",
        ):
            sent = http.post(
                f"/api/v1/tenants/alfa/payloads?name={quote(name, safe='')}", content=b"a,b\n1,2\n"
            )
            assert sent.status_code in {201, *REFUSED}, (name, sent.text)
            if sent.status_code == 201:
                made = http.post(
                    "/api/v1/tenants/alfa/sources", json={"payload": sent.json()["payload"], "name": name}
                )
                assert made.status_code in {201, *REFUSED}, (name, made.text)
    names = {p.name for p in two.place.folder.rglob("*")}
    assert not {n for n in names if n.endswith(".csv") or "passwd" in n}


def raw_get(two: Two, path: str, key: str) -> int:
    """GET with the path exactly as it is written; the status."""
    import socket

    port = int(two.place.env["SPIRE_PORT"])
    with socket.create_connection(("127.0.0.1", port), timeout=60) as wire:
        wire.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {key}\r\n"
            "Connection: close\r\n\r\n".encode()
        )
        answer = b""
        while piece := wire.recv(65536):
            answer += piece
    assert SECRET.encode() not in answer
    return int(answer.split(b" ", 2)[1])


def test_headers_of_the_gateway_can_not_be_brought_along(two: Two) -> None:
    forged = {
        "X-Spire-User": "root", "X-Spire-Role": "administrator", "x-spire-tenant": "bravo",
        "X-Forwarded-For": "127.0.0.1", "X-Forwarded-User": "ada", "Connection": "X-Spire-Role",
        "X-Spire-Audit": "99:ff", "X_Spire_Role": "administrator",
    }  # fmt: skip
    answer = two.ask("GET", "/api/v1/tenants/bravo/sources", two.keys["viewer"], headers=forged)
    assert answer.status_code == 403
    body = {"name": "x", "source": two.alfa["source"], "mappings": []}
    answer = two.ask("POST", "/api/v1/tenants/alfa/pipelines", two.keys["viewer"], json=body, headers=forged)
    assert answer.status_code == 403
    # What they do leave in the journal is their own name.
    two.ask(
        "POST", "/api/v1/tenants/alfa/query", two.keys["viewer"], json={"sql": "SELECT 1"}, headers=forged
    )
    events = two.ask("GET", "/api/v1/tenants/alfa/audit", two.keys["auditor"]).json()["events"]
    assert "root" not in {event["who"] for event in events}


def test_the_sockets_and_the_data_are_for_the_servers_user_alone(two: Two) -> None:
    for tenant in ("alfa", "bravo"):
        assert patiently(lambda tenant=tenant: two.place.worker(tenant)) is not None
        found = two.place.socket(tenant).lstat()
        assert stat.S_ISSOCK(found.st_mode)
        assert stat.S_IMODE(found.st_mode) == 0o600
        assert found.st_uid == os.getuid()
    assert stat.S_IMODE((two.place.data / "run").lstat().st_mode) == 0o700
    assert stat.S_IMODE(two.place.data.lstat().st_mode) == 0o700
    for path in two.place.data.rglob("*"):
        mode = path.lstat().st_mode
        if path.parent != two.place.data and not stat.S_ISDIR(mode):
            assert stat.S_IMODE(mode) & 0o077 == 0, path


def test_the_journal_of_one_tenant_tells_nothing_of_the_other(two: Two) -> None:
    events = two.ask("GET", "/api/v1/tenants/alfa/audit?limit=500", two.keys["auditor"]).text
    assert SECRET not in events
    for method, path in operations(two.document):
        if method == "GET" and "{" not in path.removeprefix("/api/v1/tenants/{tenant}"):
            answer = two.ask("GET", path.replace("{tenant}", "alfa"), two.keys["administrator"])
            assert answer.status_code == 200, path
            assert SECRET not in answer.text
            assert "bravo-feed" not in answer.text
