"""Where a configuration leads is read from it, and no secret goes anywhere else."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
import trustme
from pydantic import BaseModel, SecretStr

from connectors import CONNECTORS, hosts_of
from connectors.credential_hosts import NotBound, covers, named, written
from connectors.registry import Reach
from connectors.web import Web, tls
from engine.model import Source
from tests.servers.loopback import Loopback, Quiet


class Config(BaseModel):
    host: str = ""
    port: int = 0
    url: str = ""
    mirrors: list[str] = []
    note: str = ""
    secret: SecretStr = SecretStr("")


@pytest.mark.parametrize(
    ("config", "places"),
    [
        (Config(host="DB.example.", port=5432), ["db.example:5432"]),
        (Config(host="::1", port=5432), ["[::1]:5432"]),
        (Config(url="https://u:p@API.example/x?y"), ["api.example:443"]),
        (Config(url="http://api.example:8080"), ["api.example:8080"]),
        (Config(url="ftp://files.example/a"), ["files.example"]),
        (Config(mirrors=["https://a.example", "not an address", "sftp://b.example"]), ["a.example:443", "b.example:22"]),
        (Config(note="https://[broken", secret=SecretStr("https://secret.example")), []),
        (Config(url="https://a.example/", note="https://b.example/"), ["a.example:443", "b.example:443"]),
    ],
)  # fmt: skip
def test_every_address_in_a_configuration_is_a_place_it_leads_to(config: Config, places: list[str]) -> None:
    assert list(named(config)) == places


@pytest.mark.parametrize(
    ("bound", "wanted", "fits"),
    [
        ("api.example", "api.example:443", True),
        ("api.example:443", "api.example:443", True),
        ("api.example:443", "api.example:80", False),
        ("api.example", "sub.api.example:443", False),
        ("example", "api.example:443", False),
        ("[::1]", "[::1]:443", True),
        ("[::1]:80", "[::1]:443", False),
        ("api.example", "api.example.evil:443", False),
    ],
)
def test_a_host_covers_itself_at_any_port_and_nothing_else(bound: str, wanted: str, fits: bool) -> None:
    assert covers([bound], wanted) is fits


def test_hosts_are_taken_as_people_write_them_and_refused_where_they_are_none() -> None:
    assert [written(text) for text in (" API.example ", "https://api.example/path", "db.example:5432", "[::1]:80")] == [
        "api.example", "api.example:443", "db.example:5432", "[::1]:80",
    ]  # fmt: skip
    for wrong in ("", "two words", "a/b", "user@host", "host:port", "*://x", "::1"):
        with pytest.raises(ValueError, match="give a host"):
            written(wrong)


def test_every_connector_with_secrets_says_where_they_go() -> None:
    rest = {"url": "https://api.example/", "auth": "oauth2", "token_url": "https://login.example/token"}
    assert hosts_of(Source(id="a", name="a", connector="rest", config=rest)) == (
        "api.example:443", "login.example:443",
    )  # fmt: skip
    without = []
    for name, connector in CONNECTORS.items():
        if connector.secrets:
            filled = {"host": "x.example", "url": "https://x.example/"}
            fields = connector.config.model_fields.items()
            held = {n: filled.get(n, "") for n, field in fields if n in filled or field.is_required()}
            config = connector.config.model_construct(**held)
            if not connector.hosts(config):
                without.append(name)
    assert without == []


@contextmanager
def serving(authority: trustme.CA, clients: trustme.CA, moved: str = "") -> Iterator[tuple[str, list[bool]]]:
    """An https server that asks for a certificate, and notes for each request whether it was shown one."""
    shown: list[bool] = []

    class Handler(Quiet):
        def do_GET(self) -> None:
            shown.append(bool(self.connection.getpeercert()))  # type: ignore[attr-defined]
            self.send_response(302 if moved else 200)
            if moved:
                self.send_header("Location", moved)
            self.send_header("Content-Length", "0")
            self.end_headers()

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    clients.configure_trust(context)
    context.verify_mode = ssl.CERT_OPTIONAL
    with closing(Loopback(Handler, context)) as server:
        yield f"{server.url}/", shown


def test_a_certificate_is_shown_to_its_own_host_and_to_none_it_is_redirected_to() -> None:
    authority, clients = trustme.CA(), trustme.CA()
    ours = clients.issue_cert("us.example").private_key_and_cert_chain_pem.bytes().decode()
    context = tls(authority.cert_pem.bytes().decode(), ours)
    with serving(authority, clients) as (other, there), serving(authority, clients, other) as (home, here):
        with Web(home, Reach(("127.0.0.1",)), context=context).answer(home) as response:
            assert response.status_code == 200
        assert (here, there) == ([True], [False])


def test_a_secret_is_not_carried_to_a_port_it_is_not_bound_to() -> None:
    web = Web("https://127.0.0.1:1/", Reach(("127.0.0.1",), (), ("127.0.0.1:2",)), {"x-key": "secret"})
    with (
        pytest.raises(NotBound, match=r"127\.0\.0\.1:2, not to 127\.0\.0\.1:1"),
        web.answer("https://127.0.0.1:1/"),
    ):
        pass
