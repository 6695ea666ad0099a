"""The stages before a server is asked: its name, and whether the way to it is secure."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

import pytest

from connectors.database import Unreachable
from connectors.registry import Reach
from connectors.stages import Unsecured, failed, led_to
from engine.ports import Stage
from tests.servers.loopback import Asked, Loopback, Reply, answering, certified

HERE = Reach(("127.0.0.1",), ())


class Server(Loopback):
    """A server over TLS whose certificate is for `names`; it counts what it was asked."""

    def __init__(self, *names: str) -> None:
        self.asked: list[Asked] = []
        context, self.authority = certified(*names)
        super().__init__(answering(self._answer), context)

    def _answer(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        return 200, {}, {}


@pytest.fixture
def server() -> Iterator[Server]:
    one = Server("127.0.0.1")
    yield one
    one.close()


def trusting(authority: str) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=authority)


def test_a_trusted_certificate_is_told_with_its_end_before_anything_is_sent(server: Server) -> None:
    name, tls = led_to(server.url, HERE, sent="the key", context=trusting(server.authority))
    assert (name.name, name.detail) == ("name", "127.0.0.1 is an address, so there is no name to look up")
    assert (tls.name, tls.ok, tls.action) == ("TLS", True, "")
    assert tls.detail.startswith("TLS 1.3; its certificate is trusted and holds until ")
    assert server.asked == []


def test_a_certificate_that_is_not_trusted_stops_the_check_at_tls(server: Server) -> None:
    other = Server("elsewhere.example")
    for url, context in ((server.url, None), (other.url, trusting(other.authority))):
        stages = led_to(url, HERE, sent="the key", context=context)
        assert next(stages).ok
        with pytest.raises(Unsecured) as raised:
            next(stages)
        stage = failed("name", raised.value, "")
        assert (stage.name, stage.ok) == ("TLS", False)
        assert "its certificate is not trusted" in stage.detail
        assert "authority's certificate" in stage.action
    assert (server.asked, other.asked) == ([], [])
    other.close()


def test_a_server_without_tls_is_told_from_one_that_does_not_answer() -> None:
    plain = Loopback(answering(lambda asked: (200, {}, {})))
    stages = led_to(plain.url.replace("http", "https"), HERE)
    assert next(stages).ok
    with pytest.raises(Unsecured, match="TLS could not be agreed on"):
        next(stages)
    plain.close()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"https://127.0.0.1:{free.getsockname()[1]}"
        assert [stage.name for stage in led_to(address, HERE)] == ["name"]


def test_only_a_secret_makes_an_address_without_tls_worth_a_warning() -> None:
    clear = "http://127.0.0.1:9"
    assert [stage.name for stage in led_to(clear, HERE)] == ["name"]
    assert list(led_to(clear, HERE, sent="the key"))[1] == Stage(
        "TLS", True, "not used: the key goes in clear to this address", "Use https if the server offers it."
    )


def test_a_check_promises_nothing_that_only_a_run_does() -> None:
    told = failed("sign-in", Unreachable("db.example:5432: nobody answers there."), "Check the server.")
    assert told.detail == "The database did not answer. db.example:5432: nobody answers there."
    assert told.action == "Check the server."
