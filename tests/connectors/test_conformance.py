"""What holds for every connector, whatever it reads: one suite, run against each one's real server.

A connector joins with one module in `harness`, named as it is.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from connectors import CONNECTORS, NotConfigured, check, payloads_of
from connectors.addresses import NotAllowed
from engine.errors import Retry, SpireError
from engine.model import Source
from engine.ports import Cursor
from tests.connectors.harness import HARNESSES, LARGE, Ground, Kind, Served
from tests.connectors.web import Web
from tests.servers.proxy import Proxy

HERE = ("127.0.0.1",)
# What a reader may hold at once, against a payload or a round that is larger: whoever holds it whole fails.
HELD = 32 << 20


@dataclass
class Reading:
    """A connector, its data being served, and the way there."""

    name: str
    served: Served
    proxy: Proxy | None
    hosts: tuple[str, ...] = HERE
    told: list[str] = field(default_factory=list)

    def source(self, port: int | None = None, **more: Any) -> Source:
        given = self.proxy.port if self.proxy else 0
        config = {**self.served.config(port or given), **more}
        return Source(id="c", name="c", connector=self.name, config=config)

    def payloads(self, since: Cursor | None = None, **more: Any) -> Iterator[Any]:
        return payloads_of(self.source(**more), since, self.hosts, self.served.folders)

    def read(self, since: Cursor | None = None) -> list[tuple[str, bytes, Cursor | None]]:
        return [(p.name, p.stream.read(), p.cursor) for p in self.payloads(since)]

    def records(self, since: Cursor | None = None) -> set[str]:
        return {id for _, data, _ in self.read(since) for id in self.served.in_payload(data)}

    def as_far_as_it_goes(
        self, since: Cursor | None = None
    ) -> tuple[list[tuple[set[str], Cursor | None]], SpireError | None]:
        """What came before an error, if there was one: each payload's records and the cursor after it."""
        came: list[tuple[set[str], Cursor | None]] = []
        try:
            for payload in self.payloads(since):
                came.append((self.served.in_payload(payload.stream.read()), payload.cursor))
        except SpireError as error:
            self.told.append("".join(traceback.format_exception(error)))
            return came, error
        return came, None


@pytest.fixture(scope="module")
def reader() -> Iterator[Callable[[dict[str, Any]], dict[str, int]]]:
    """Reads a source in a process of its own, which holds nothing but what the connector does."""
    command = [sys.executable, "-m", "tests.connectors.reader"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        asking, telling = process.stdin, process.stdout

        def read(asked: dict[str, Any]) -> dict[str, int]:
            asking.write(json.dumps(asked) + "\n")
            asking.flush()
            found: dict[str, int] = json.loads(telling.readline())
            return found

        yield read
        asking.close()


Serving = Callable[[str, Kind], Any]


@pytest.fixture
def serving(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Serving:
    @contextmanager
    def serve(name: str, kind: Kind) -> Iterator[Reading]:
        harness = HARNESSES[name]
        with harness.serve(kind, Ground(request, tmp_path, monkeypatch)) as served:
            if not served.port:
                yield Reading(name, served, None, ())
                return
            with closing(Proxy(served.port)) as proxy:
                yield Reading(name, served, proxy)

    return serve


Impatience = Callable[[], Any]


@pytest.fixture
def impatient() -> Impatience:
    """A while in which nobody waits as long as in earnest, neither for a server nor between two tries."""

    @contextmanager
    def soon() -> Iterator[None]:
        with pytest.MonkeyPatch.context() as changed:
            for harness in HARNESSES.values():
                for setting, patience in harness.PATIENCE.items():
                    changed.setattr(setting, patience)
            changed.setattr("time.sleep", lambda seconds: None)
            yield

    return soon


def every(*speaks: str, kind: Kind = "some") -> pytest.MarkDecorator:
    """Each connector that can be served this kind of data, and speaks one of these."""
    names = [n for n, h in HARNESSES.items() if kind in h.KINDS and (not speaks or h.SPEAKS in speaks)]
    return pytest.mark.parametrize("name", sorted(names))


def test_every_connector_has_its_harness_and_no_other() -> None:
    assert set(HARNESSES) == set(CONNECTORS)


# ── what it says of itself ───────────────────────────────────────────────────────────────────────────


@every()
def test_it_describes_itself_and_a_check_of_it_holds(name: str, serving: Serving) -> None:
    connector = CONNECTORS[name]
    assert connector.title
    assert connector.summary
    schema = connector.config.model_json_schema()
    assert all(each.get("description") for each in schema["properties"].values())
    with serving(name, "some") as reading:
        stages = list(check(reading.source(), reading.hosts, reading.served.folders))
        assert stages
        assert all(stage.ok for stage in stages), stages
        with pytest.raises(NotConfigured):
            list(reading.payloads(unheard_of=1))


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────


@every()
def test_two_readings_agree_and_fields_nobody_asked_for_are_kept(name: str, serving: Serving) -> None:
    with serving(name, "some") as reading:
        first, second = reading.read(), reading.read()
        # A cursor may hold the time of reading, so it is what was read that must agree.
        plain = reading.served.plain
        assert [(name, plain(data)) for name, data, _ in first] == [
            (name, plain(data)) for name, data, _ in second
        ]
        found = {id for _, data, _ in first for id in reading.served.in_payload(data)}
        assert found >= reading.served.records
        whole = b"".join(data for _, data, _ in first).decode("utf-8-sig")
        assert (
            reading.served.unheard in whole
            or reading.served.unheard.encode("unicode_escape").decode() in whole
        )


@every()
def test_from_every_cursor_it_gave_nothing_is_missed(name: str, serving: Serving) -> None:
    with serving(name, "some") as reading:
        came, error = reading.as_far_as_it_goes()
        assert error is None
        everything = {id for ids, _ in came for id in ids}
        for number, (_, cursor) in enumerate(came):
            before = {id for ids, _ in came[: number + 1] for id in ids}
            assert before | reading.records(cursor) == everything
        if came and came[-1][1] is not None and len(everything) > 3 and not reading.served.again:
            assert len(reading.records(came[-1][1])) < len(everything)


@every(kind="empty")
def test_where_there_is_nothing_nothing_comes(name: str, serving: Serving) -> None:
    with serving(name, "empty") as reading:
        assert reading.records() == set()
        stages = list(check(reading.source(), reading.hosts, reading.served.folders))
        assert all(stage.ok or stage.action for stage in stages)


@every(kind="broken")
def test_a_broken_record_harms_no_other(name: str, serving: Serving, impatient: Impatience) -> None:
    with serving(name, "broken") as reading:
        with impatient():
            came, error = reading.as_far_as_it_goes()
        before = {id for ids, _ in came for id in ids}
        if error is None:
            assert before >= reading.served.records - reading.served.broken
        else:
            reading.served.mend()
            assert before | reading.records(came[-1][1] if came else None) == reading.served.records


@every(kind="lying")
def test_what_it_announces_is_not_taken_for_what_there_is(name: str, serving: Serving) -> None:
    with serving(name, "lying") as reading:
        assert reading.records() == reading.served.records


@every(kind="large")
def test_memory_stays_flat_however_much_there_is(
    name: str, serving: Serving, reader: Callable[[dict[str, Any]], dict[str, int]]
) -> None:
    with serving(name, "large") as reading:
        source = reading.source(reading.served.port or None)
        asked = {"source": source.model_dump(mode="json"), "hosts": HERE, "folders": reading.served.folders}
        found = reader(asked)
        assert found["size"] > LARGE * 0.9
        assert found["held"] < HELD, f"{found['held'] >> 20} MiB held of {found['size'] >> 20}"


# ── bad days ─────────────────────────────────────────────────────────────────────────────────────────


def _half_way(reading: Reading) -> int:
    """How many bytes of its longest answer a server has given when it is about half through."""
    assert reading.proxy is not None
    reading.proxy.well()
    assert reading.as_far_as_it_goes()[1] is None
    longest = max(reading.proxy.said)
    reading.proxy.well()
    return longest * 6 // 10


def _goes_on(reading: Reading, came: list[tuple[set[str], Cursor | None]]) -> None:
    """With the server well again, the last cursor gives what had not come."""
    assert reading.proxy is not None
    reading.proxy.well()
    before = {id for ids, _ in came for id in ids}
    assert before | reading.records(came[-1][1] if came else None) >= reading.served.records


@every("tcp", "http")
@pytest.mark.parametrize("begun", [False, True], ids=["at once", "half way"])
def test_a_server_that_falls_silent_ends_the_run_and_the_next_one_goes_on(
    name: str, begun: bool, serving: Serving, impatient: Impatience
) -> None:
    with serving(name, "some") as reading:
        reading.proxy.hang = _half_way(reading) if begun else 0
        reading.proxy.ailing = 1000
        with impatient():
            came, error = reading.as_far_as_it_goes()
        if begun and error is None:  # a driver may ask again on another connection, where less is said
            assert {id for ids, _ in came for id in ids} >= reading.served.records
        else:
            assert isinstance(error, Retry)
        _goes_on(reading, came)


@every("tcp", "http")
@pytest.mark.parametrize("times", [1, 1000], ids=["once", "always"])
def test_a_connection_that_breaks_off_loses_nothing(
    name: str, times: int, serving: Serving, impatient: Impatience
) -> None:
    with serving(name, "some") as reading:
        reading.proxy.drop = _half_way(reading)
        reading.proxy.ailing = times
        with impatient():
            came, error = reading.as_far_as_it_goes()
        if error is None:
            assert {id for ids, _ in came for id in ids} >= reading.served.records
        else:
            assert isinstance(error, Retry)
        _goes_on(reading, came)


@every("tcp", "http")
def test_where_nobody_answers_the_check_says_so_and_what_to_do(
    name: str, serving: Serving, impatient: Impatience, free_port: int
) -> None:
    with serving(name, "some") as reading, impatient():
        last = list(check(reading.source(free_port), reading.hosts))[-1]
        assert not last.ok
        assert last.action
        with pytest.raises(Retry):
            [p.stream.read() for p in payloads_of(reading.source(free_port), None, reading.hosts)]


@every("http")
def test_a_server_that_asks_us_to_wait_is_waited_for(
    name: str, serving: Serving, impatient: Impatience
) -> None:
    with serving(name, "some") as reading:
        for status in ("429 Too Many Requests", "503 Service Unavailable"):
            reading.proxy.instead = f"HTTP/1.1 {status}\r\nRetry-After: 7\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
            reading.proxy.ailing = 1
            with impatient():
                came, error = reading.as_far_as_it_goes()
            if error is None:
                assert {id for ids, _ in came for id in ids} >= reading.served.records
            else:
                assert isinstance(error, Retry)
            _goes_on(reading, came)


# ── where it goes, and what it says ──────────────────────────────────────────────────────────────────


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
