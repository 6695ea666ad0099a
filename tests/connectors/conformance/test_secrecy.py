"""Every connector goes to checked addresses only, and takes its secret nowhere else."""

from __future__ import annotations

import base64
import logging
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from connectors import CONNECTORS, check, payloads_of
from connectors.addresses import NotAllowed
from engine.model import Source
from tests.connectors.conformance import HERE, Impatience, Serving, every
from tests.connectors.harness import HARNESSES
from tests.connectors.web import Web
from tests.servers.proxy import Proxy


@every("tcp", "http")
def test_a_private_address_is_refused_unless_the_administrator_allows_it(name: str, serving: Serving) -> None:
    with serving(name, "some") as reading:
        with pytest.raises(NotAllowed):
            list(payloads_of(reading.source(), None, ()))
        stages = list(check(reading.source(), ()))
        assert not stages[-1].ok
        assert "SPIRE_URL_ALLOW" in stages[-1].action
        assert not reading.proxy.asked


@every("http")
@pytest.mark.parametrize("where", ["another origin", "a private network"])
def test_a_redirect_takes_no_secret_along(
    name: str, where: str, serving: Serving, impatient: Impatience
) -> None:
    with (
        serving(name, "some") as reading,
        closing(Web()) as other,
        closing(Proxy(other.port)) as witness,
        impatient(),
    ):
        to = f"http://127.0.0.1:{witness.port}/" if where == "another origin" else "http://169.254.169.254/"
        reading.proxy.instead = (
            f"HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
        )
        reading.proxy.ailing = 1000
        with _only_to(HERE):
            assert reading.as_far_as_it_goes()[1] is not None
        sent = b"".join(bytes(each) for each in witness.asked)
        assert not _holds(sent, reading.served.secret)


@every("tcp", "http")
def test_it_connects_to_the_address_that_was_checked_and_looks_it_up_no_second_time(
    name: str, serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(name, "some") as reading:
        asked: list[str] = []
        real = socket.getaddrinfo

        def counting(host: Any, port: Any, *args: Any, **named: Any) -> Any:
            if host != reading.served.named:
                return real(host, port, *args, **named)
            asked.append(host)
            return real("127.0.0.1", port, *args, **named)

        config = reading.source().config
        there = {key: _renamed(value, reading.served.named) for key, value in config.items()}
        assert there != config
        monkeypatch.setattr("socket.getaddrinfo", counting)
        source = Source(id="c", name="c", connector=name, config=there)
        reading.proxy.well()
        with _only_to(HERE):
            payloads = payloads_of(source, None, (reading.served.named,))
            first = next(payloads, None)
            assert first is not None
            first.stream.read()
            payloads.close()
        # A name that is looked up once more between check and connection may lead elsewhere by then.
        assert 1 <= len(asked) <= len(reading.proxy.asked)


def _renamed(value: Any, name: str) -> Any:
    return re.sub(r"^(https?://)?127\.0\.0\.1", rf"\g<1>{name}", value) if isinstance(value, str) else value


_watched: list[list[str]] = []


def _witness(event: str, args: tuple[Any, ...]) -> None:
    if event == "socket.connect" and _watched and isinstance(args[1], tuple):
        _watched[-1].append(str(args[1][0]))


sys.addaudithook(_witness)


@contextmanager
def _only_to(hosts: tuple[str, ...]) -> Iterator[None]:
    """Whoever connects to another address meanwhile fails the test."""
    _watched.append([])
    try:
        yield
    finally:
        went = set(_watched.pop())
    assert went <= set(hosts)


def _holds(data: bytes, secret: str) -> bool:
    """Whether a secret is in there, plainly or as Basic authorization carries it."""
    if secret.encode() in data:
        return True
    basics = re.findall(rb"Basic ([A-Za-z0-9+/=]+)", data)
    return any(secret.encode() in base64.b64decode(each) for each in basics)


@every("tcp", "http")
def test_its_secret_is_in_nothing_it_says(
    name: str, serving: Serving, impatient: Impatience, caplog: pytest.LogCaptureFixture, free_port: int
) -> None:
    caplog.set_level(logging.DEBUG)
    with serving(name, "some") as reading, impatient():
        secret = reading.served.secret
        assert secret
        assert secret in str(reading.source().config)
        said = [repr(CONNECTORS[name].config.model_validate(reading.source().config))]
        reading.as_far_as_it_goes()
        spoken = ("401 Unauthorized", "403 Forbidden", "500 Oh") if HARNESSES[name].SPEAKS == "http" else ()
        for status in spoken:
            reading.proxy.instead = f"HTTP/1.1 {status}\r\nContent-Length: {len(secret)}\r\nConnection: close\r\n\r\n{secret}".encode()
            reading.proxy.ailing = 1000
            reading.as_far_as_it_goes()
            said += map(str, check(reading.source(), reading.hosts))
        reading.proxy.well()
        reading.proxy.drop, reading.proxy.ailing = 40, 1000
        assert reading.as_far_as_it_goes()[1] is not None
        said += map(str, check(reading.source(free_port), reading.hosts))
        said += map(str, check(reading.source(unheard_of=secret), reading.hosts))
        said += reading.told
    assert reading.told
    assert not _holds("\n".join(said).encode(), secret)
    assert not _holds(caplog.text.encode(), secret)
