"""The control plane's routes: accounts, tenants, keys, schedules, audit, and what each change leaves behind."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
import time
from pathlib import Path

import httpx
import pytest
import websockets
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.app.conftest import PASSWORD, House, Served
from tests.app.test_door import stream


@pytest.fixture
def admin(house: House) -> httpx.Client:
    return house.served.client(cookie=house.served.sign_in())


def make_user(admin: httpx.Client, login: str, **more: object) -> dict[str, object]:
    asked = {"login": login, "password": PASSWORD} | more
    return admin.post("/api/v1/users", json=asked).raise_for_status().json()


def test_a_role_that_is_taken_counts_at_once(house: House, admin: httpx.Client) -> None:
    user = make_user(admin, "vera", tenants={"default": "viewer"})
    with house.served.client(cookie=house.served.sign_in("vera")) as vera:
        assert vera.get("/api/v1/tenants/default/state").status_code == 200
        admin.delete(f"/api/v1/users/{user['id']}/memberships/default").raise_for_status()
        assert vera.get("/api/v1/tenants/default/state").status_code == 403


@pytest.mark.parametrize("how", ["close", "reset", "sign-out"])
def test_closing_an_account_closes_its_open_pages(house: House, admin: httpx.Client, how: str) -> None:
    login = f"paul-{how}"
    user = make_user(admin, login)

    async def watch() -> int:
        cookie = house.served.sign_in(login)
        async with stream(house.served, cookie, origin=house.served.url) as page:
            where = f"/api/v1/users/{user['id']}"
            if how == "close":
                admin.delete(where).raise_for_status()
            elif how == "reset":
                admin.post(f"{where}/password", json={"new": PASSWORD + "2"}).raise_for_status()
            else:
                admin.post(f"{where}/sign-out-everywhere").raise_for_status()
            try:
                while True:
                    await asyncio.wait_for(page.recv(), 5)
            except websockets.ConnectionClosed as closed:
                return closed.rcvd.code if closed.rcvd else 0

    assert asyncio.run(watch()) == 4401


def test_changing_the_password_needs_the_old_one(house: House, admin: httpx.Client) -> None:
    make_user(admin, "otto")
    with house.served.client(cookie=house.served.sign_in("otto")) as otto:
        wrong = otto.post("/api/v1/me/password", json={"old": "not this one", "new": PASSWORD + "!"})
        assert wrong.status_code == 400
        assert (
            otto.post("/api/v1/me/password", json={"old": PASSWORD, "new": PASSWORD + "!"}).status_code == 200
        )
        assert otto.get("/api/v1/me").status_code == 401
    assert house.served.sign_in("otto", PASSWORD + "!")


def test_nobody_makes_a_key_beyond_their_own_role(house: House, admin: httpx.Client) -> None:
    make_user(admin, "anna", tenants={"default": "analyst"})
    with house.served.client(cookie=house.served.sign_in("anna")) as anna:
        key = {"name": "k", "tenant": "default", "role": "engineer"}
        assert anna.post("/api/v1/api-keys", json=key).status_code == 403
        assert (
            anna.post("/api/v1/api-keys", json=key | {"tenant": None, "role": "auditor"}).status_code == 403
        )
        made = anna.post("/api/v1/api-keys", json=key | {"role": "analyst"})
        assert made.status_code == 201
        shown = anna.get("/api/v1/api-keys").json()
    assert [one["key"] for one in shown] == [None]


def test_destroying_a_tenant_asks_for_its_name_and_leaves_nothing(house: House, admin: httpx.Client) -> None:
    admin.post("/api/v1/tenants", json={"id": "doomed"}).raise_for_status()
    assert admin.get("/api/v1/tenants/doomed/state").status_code == 200
    folder = house.served.folder / "data" / "tenants" / "doomed"
    assert folder.exists()
    assert admin.delete("/api/v1/tenants/doomed", params={"confirm": "domed"}).status_code == 409
    assert admin.delete("/api/v1/tenants/doomed", params={"confirm": "doomed"}).status_code == 204
    assert not folder.exists()
    assert admin.get("/api/v1/tenants/doomed/state").status_code == 403
    assert admin.post("/api/v1/tenants", json={"id": "doomed"}).status_code == 409


def test_a_schedule_shows_its_next_five_times_here_and_in_utc(house: House) -> None:
    asked = {
        "pipeline": "feed", "trigger": "cron", "spec": {"cron": "30 6 * * *"}, "time_zone": "Europe/Berlin",
    }  # fmt: skip
    with house.served.client(key=house.keys["engineer"]) as http:
        made = (
            http.post("/api/v1/schedules", params={"tenant": "default"}, json=asked).raise_for_status().json()
        )
        assert len(made["next"]) == 5
        first = made["next"][0]
        assert "T06:30:00+0" in first["local"]
        assert dt.datetime.fromisoformat(first["local"]) == dt.datetime.fromisoformat(first["utc"])
        where = f"/api/v1/schedules/{made['id']}"
        changed = http.put(where, params={"tenant": "default"}, json=asked | {"enabled": False}).json()
        assert changed["next"] == []
        http.delete(where, params={"tenant": "default"}).raise_for_status()
        assert http.get("/api/v1/schedules", params={"tenant": "default"}).json() == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"spec": {"cron": "61 * * * *"}}, "61"),
        ({"spec": {"seconds": 60}}, "Cron: it is missing"),
        ({"time_zone": "Mars/Olympus"}, "Mars/Olympus"),
        ({"policy": {"overlap": "both"}}, "overlap"),
    ],
)
def test_a_schedule_that_can_not_be_kept_is_refused_with_the_reason(
    house: House, change: dict[str, object], told: str
) -> None:
    asked = {"pipeline": "feed", "trigger": "cron", "spec": {"cron": "* * * * *"}} | change
    with house.served.client(key=house.keys["engineer"]) as http:
        answer = http.post("/api/v1/schedules", params={"tenant": "default"}, json=asked)
    assert answer.status_code == 422
    assert told in answer.text


def test_a_schedule_of_another_tenant_is_not_there(house: House, admin: httpx.Client) -> None:
    asked = {"pipeline": "feed", "trigger": "interval", "spec": {"seconds": 86400}}
    made = admin.post("/api/v1/schedules", params={"tenant": "other"}, json=asked).json()
    with house.served.client(key=house.keys["administrator"]) as http:
        assert http.get(f"/api/v1/schedules/{made['id']}", params={"tenant": "other"}).status_code == 403
        assert http.get(f"/api/v1/schedules/{made['id']}", params={"tenant": "default"}).status_code == 409


def test_a_schedule_fires_in_the_served_gateway_with_no_browser(house: House) -> None:
    asked = {"pipeline": "unattended", "trigger": "interval", "spec": {"seconds": 10}}
    with house.served.client(key=house.keys["engineer"]) as http:
        made = (
            http.post("/api/v1/schedules", params={"tenant": "default"}, json=asked).raise_for_status().json()
        )
        where = f"/api/v1/schedules/{made['id']}"
        assert http.post(f"{where}/fire", params={"tenant": "default"}).status_code == 202
        for _ in range(100):
            firings = http.get(f"{where}/firings", params={"tenant": "default"}).json()
            if firings and firings[0]["outcome"] == "succeeded":
                break
            time.sleep(0.1)
        http.delete(where, params={"tenant": "default"})
    log = house.served.folder / "data" / "tenants" / "default" / "fired"
    assert f"unattended schedule:{made['id']}" in log.read_text()


def test_what_changes_or_is_refused_is_in_an_unbroken_audit_chain(house: House, admin: httpx.Client) -> None:
    make_user(admin, "ursula")
    with house.served.client(key=house.keys["viewer"]) as http:
        assert http.post("/api/v1/users", json={}).status_code == 403
    with house.served.client(key=house.keys["installation-auditor"]) as auditor:
        events = auditor.get("/api/v1/audit").json()
        verdict = auditor.post("/api/v1/audit/verify").json()
    assert verdict["ok"], verdict
    assert any(e["action"] == "create-user" and e["object"] == "ursula" and e["who"] == "ada" for e in events)
    assert any(e["outcome"] == "refused" and e["who"].startswith("key:") for e in events)
    assert PASSWORD not in str(events)


def test_the_last_administrator_stays(admin: httpx.Client) -> None:
    ada = next(user for user in admin.get("/api/v1/users").json() if user["login"] == "ada")
    answer = admin.patch(f"/api/v1/users/{ada['id']}", json={"role": None})
    assert answer.status_code == 409
    assert "last administrator" in answer.json()["title"]


def test_health_is_open_and_metrics_are_not(house: House) -> None:
    with house.served.client() as http:
        assert http.get("/health").json()["status"] == "ok"
        assert http.get("/metrics").status_code == 401
    with house.served.client(key=house.keys["installation-auditor"]) as http:
        text = http.get("/metrics").text
    assert "# TYPE spire_workers gauge" in text
    assert "acme" not in text


def test_the_api_describes_itself_without_asking_anybody_else(house: House) -> None:
    with house.served.client(key=house.keys["viewer"]) as http:
        page = http.get("/api-docs")
        document = http.get("/api/openapi.json").json()
    assert "http://" not in page.text.replace(house.served.url, "")
    assert "https://" not in page.text
    assert document["paths"]["/api/v1/tenants/{tenant}/state"]["get"]["x-permission"] == "read"
    assert document["paths"]["/api/v1/users"]["post"]["x-permission"] == "install"


def test_a_body_larger_than_any_control_route_needs_is_not_read(house: House, admin: httpx.Client) -> None:
    answer = admin.post(
        "/api/v1/users", content=b"[" + b" " * (2 << 20), headers={"content-type": "application/json"}
    )
    assert 400 <= answer.status_code < 500
    assert admin.get("/api/v1/me").status_code == 200


def certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    cert, private = folder / "cert.pem", folder / "key.pem"
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
    return cert, private


def test_over_tls_it_speaks_1_3_only_and_the_cookie_is_secure(unserved: Served) -> None:
    cert, private = certificate(unserved.folder)
    unserved.env |= {"SPIRE_TLS_CERT": str(cert), "SPIRE_TLS_KEY": str(private), "SPIRE_HOST": "localhost"}
    unserved.verify = ssl.create_default_context(cafile=str(cert))
    unserved.start()
    assert unserved.url.startswith("https://localhost:")
    with unserved.client() as http:
        form = {"token": unserved.token, "login": "ada", "name": "A", "password": PASSWORD, "again": PASSWORD}
        answer = http.post("/setup", data=form, headers={"origin": unserved.url})
        assert answer.headers["set-cookie"].startswith("__Host-spire=")
        assert "secure" in answer.headers["set-cookie"].lower()
        assert "max-age" in answer.headers["strict-transport-security"]
    old = ssl.create_default_context(cafile=str(cert))
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(httpx.ConnectError), httpx.Client(verify=old) as http:
        http.get(unserved.url + "/health")
