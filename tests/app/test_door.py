"""Coming in: set-up, sign-in, sign-out, and what is refused at the door."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest
import websockets

from app.gateway.guard import RECHECK
from tests.app.conftest import ADMIN, PASSWORD, House, Served


def test_the_set_up_link_works_once_and_never_after_an_account_exists(unserved: Served) -> None:
    unserved.start()
    cookie = unserved.set_up()
    with unserved.client(cookie=cookie) as http:
        me = http.get("/api/v1/me").json()
        assert me["installation"] == "administrator"
        assert me["roles"] == {"default": "administrator"}
    with unserved.client() as http:
        form = {"token": unserved.token, "login": "eve", "name": "E", "password": PASSWORD, "again": PASSWORD}
        again = http.post("/setup", data=form, headers={"origin": unserved.url})
        assert again.status_code == 410
        assert "used" in again.text
    unserved.stop()
    unserved.start(setup=False)  # the second start prints no link
    assert unserved.sign_in()


def test_a_password_that_is_refused_leaves_the_set_up_link_good(unserved: Served) -> None:
    unserved.start()
    with unserved.client() as http:
        form = {"token": unserved.token, "login": ADMIN, "name": "", "password": "short", "again": "short"}
        answer = http.post("/setup", data=form, headers={"origin": unserved.url})
        assert answer.status_code == 400
        assert "12" in answer.text
    assert unserved.set_up()


def test_the_cookie_is_http_only_lax_and_signed(house: House) -> None:
    with house.served.client() as http:
        form = {"login": ADMIN, "password": PASSWORD}
        answer = http.post("/auth/login", data=form, headers={"origin": house.served.url})
        header = answer.headers["set-cookie"].lower()
        assert "httponly" in header
        assert "samesite=lax" in header
        cookie = answer.cookies["spire"]
    # Not the last character: its lowest bits say nothing in base64.
    forged = cookie[:-8] + ("A" if cookie[-8] != "A" else "B") + cookie[-7:]
    with house.served.client(cookie=forged) as http:
        assert http.get("/api/v1/me").status_code == 401


def test_signing_in_ends_the_sign_in_the_browser_had(house: House) -> None:
    old = house.served.sign_in()
    with house.served.client(cookie=old) as http:
        assert http.post("/auth/login", data={"login": ADMIN, "password": PASSWORD}).status_code == 303
    with house.served.client(cookie=old) as http:
        assert http.get("/api/v1/me").status_code == 401


def test_a_wrong_password_says_nothing_about_the_account(house: House) -> None:
    with house.served.client() as http:
        answers = [
            http.post(
                "/auth/login",
                data={"login": login, "password": "wrong"},
                headers={"origin": house.served.url},
            )
            for login in ("nobody-here", "somebody-else")
        ]
    assert {answer.status_code for answer in answers} == {401}
    assert "not right" in answers[0].text


def test_guessing_is_locked_out_with_a_time_to_wait(house: House) -> None:
    with house.served.client() as http:
        form = {"login": "guessed", "password": "wrong"}
        codes = [
            http.post("/auth/login", data=form, headers={"origin": house.served.url}).status_code
            for _ in range(6)
        ]
        last = http.post("/auth/login", data=form, headers={"origin": house.served.url})
    assert codes[:5] == [401] * 5
    assert codes[5] == last.status_code == 429
    assert int(last.headers["retry-after"]) > 0


def test_after_sign_in_one_stays_on_this_site(house: House) -> None:
    for wanted, goes in (
        ("/runs", "/runs"),
        ("//evil.example", "/"),
        ("https://evil.example", "/"),
        ("/\\e", "/"),
    ):
        with house.served.client() as http:
            form = {"login": ADMIN, "password": PASSWORD, "next": wanted}
            answer = http.post("/auth/login", data=form, headers={"origin": house.served.url})
            assert answer.headers["location"] == goes


@pytest.mark.parametrize(
    "path", ["/", "/static/js/none.js", "/_stcore/host-config", "/media/x", "/component/x"]
)
def test_nothing_of_the_app_is_served_without_a_sign_in(house: House, path: str) -> None:
    with house.served.client() as http:
        assert http.get(path).status_code == 401
        page = http.get(path, headers={"accept": "text/html"})
        assert page.status_code == 303
        assert page.headers["location"].startswith("/sign-in")


@pytest.mark.parametrize(
    "path", ["/_stcore/upload_file/a/b", "/_stcore/agent/openapi.json", "/_stcore/metrics", "/_stcore/script-health-check"]
)  # fmt: skip
def test_streamlits_other_doors_are_shut_even_when_signed_in(house: House, path: str) -> None:
    with house.served.client(cookie=house.admin) as http:
        assert http.get(path).status_code == 404
        assert http.put(path, content=b"x").status_code in {404, 405}
        assert http.post(path, content=b"x").status_code in {404, 405}


def test_a_foreign_host_or_origin_is_refused(house: House) -> None:
    with house.served.client(cookie=house.admin) as http:
        assert http.get("/api/v1/me", headers={"host": "evil.example"}).status_code == 421
        assert http.get("/api/v1/me", headers={"origin": "https://evil.example"}).status_code == 403
        near = house.served.url.replace("127.0.0.1", "localhost").rsplit(":", 1)[0] + ":1"
        assert http.get("/api/v1/me", headers={"origin": near}).status_code == 403


def test_a_cookie_alone_changes_nothing_without_our_origin(house: House) -> None:
    with httpx.Client(base_url=house.served.url, cookies={"spire": house.admin}) as http:
        asked = {"id": "forged"}
        assert http.post("/api/v1/tenants", json=asked).status_code == 403
        cross = {"origin": house.served.url, "sec-fetch-site": "same-site"}
        assert http.post("/api/v1/tenants", json=asked, headers=cross).status_code == 403
    with house.served.client(key=house.keys["viewer"]) as http:
        assert http.get("/api/v1/me").status_code == 200  # a key needs no Origin


def test_answers_carry_the_security_headers(house: House) -> None:
    with house.served.client(cookie=house.admin) as http:
        app, door = http.get("/"), http.get("/sign-in", headers={"cookie": ""})
    for answer in (app, door):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert "'sha256-" in app.headers["content-security-policy"]
    assert "script-src" not in door.headers["content-security-policy"]
    assert "<script" not in door.text


def test_an_address_of_no_page_says_so_and_leads_home(house: House) -> None:
    with house.served.client(cookie=house.admin) as http:
        page = {"accept": "text/html"}
        there, nowhere = http.get("/runs?run=1", headers=page), http.get("/ruins", headers=page)
        assert (there.status_code, nowhere.status_code) == (200, 404)
        assert "Nothing is at this address." in nowhere.text
        assert "<script" not in nowhere.text
        assert "script-src" not in nowhere.headers["content-security-policy"]


def stream(served: Served, cookie: str = "", *, origin: str | None) -> websockets.connect:
    """A page's websocket as a browser opens it."""
    more = {"cookie": f"spire={cookie}"} if cookie else {}
    if origin is not None:
        more["origin"] = origin
    url = served.url.replace("http", "ws", 1) + "/_stcore/stream"
    return websockets.connect(
        url, additional_headers=more, subprotocols=[websockets.Subprotocol("streamlit")]
    )


def test_a_websocket_needs_our_origin_and_a_sign_in(house: House) -> None:
    async def attempt(cookie: str, origin: str | None) -> int:
        try:
            async with stream(house.served, cookie, origin=origin):
                return 101
        except websockets.InvalidStatus as refused:
            return refused.response.status_code

    ours, cookie = house.served.url, house.served.sign_in()
    assert asyncio.run(attempt(cookie, ours)) == 101
    assert asyncio.run(attempt("", ours)) == 403
    assert asyncio.run(attempt(cookie, None)) == 403
    assert asyncio.run(attempt(cookie, "http://127.0.0.1:1")) == 403


@pytest.mark.parametrize("path", ["/auth/logout", "/auth/logout-everywhere"])
def test_signing_out_closes_open_pages_at_once(house: House, path: str) -> None:
    async def watch() -> tuple[int, float]:
        mine, other = house.served.sign_in(), house.served.sign_in()
        watched = other if path.endswith("everywhere") else mine
        async with stream(house.served, watched, origin=house.served.url) as page:
            async with httpx.AsyncClient(base_url=house.served.url, cookies={"spire": mine}) as http:
                began = time.monotonic()
                answer = await http.post(path, headers={"origin": house.served.url})
                assert answer.status_code == 303
            try:
                while True:
                    await asyncio.wait_for(page.recv(), 5)
            except websockets.ConnectionClosed as closed:
                return closed.rcvd.code if closed.rcvd else 0, time.monotonic() - began

    code, took = asyncio.run(watch())
    assert code == 4401
    # At once, and not when it is looked at anew.
    assert took < RECHECK
    if path.endswith("everywhere"):
        house.admin = house.served.sign_in()
