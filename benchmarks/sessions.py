"""What a page takes while 100 people use the app and a million rows are being loaded into the same tenant.

`python -m benchmarks.sessions` starts the product, and speaks to it as browsers do: one websocket a person,
Streamlit's own messages, each page opened, read for a while, and left for the next. A page's time is from
asking for it to the last of what it draws. Fragments that refresh themselves are asked for as a browser would.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import math
import os
import random
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from benchmarks.generate import generate
from tests.browser.furnishing import Api, Furnished, furnish
from tests.browser.serving import Served, serving

HERE = Path(__file__).resolve().parent
ENGINEERS = 20
# People come in over so many seconds; what is worked out once for all is worked out meanwhile.
WARM = 30.0


@dataclass
class Told:
    """How long pages took, by name; fragments apart; and what went wrong."""

    pages: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    fragments: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    loads: list[float] = field(default_factory=list)
    since: float = 0


def shown(there: Furnished) -> dict[str, tuple[str, str]]:
    """The pages people look at: a name, the page, and its query."""
    return {
        "home": ("", ""),
        "sources": ("sources", ""),
        "mapping, a draft": ("mapping", f"pipeline={there.pipeline}"),
        "mapping, not saved": ("mapping", f"source={there.fresh}"),
        "runs": ("runs", ""),
        "one run": ("runs", f"run={there.run}"),
        "quarantine": ("quarantine", f"pipeline={there.pipeline}"),
        "explorer": ("explorer", f"target={there.record[0]}"),
        "one record": ("explorer", f"target={there.record[0]}&record={there.record[1]}"),
    }


class Person:
    """One browser tab: a websocket, and the page it shows."""

    def __init__(self, url: str, cookie: str, told: Told) -> None:
        self._url = url.replace("http", "ws", 1) + "/_stcore/stream"
        self._headers = {"cookie": f"spire={cookie}", "origin": url}
        self._told = told
        self._hashes: dict[str, str] = {}
        self._refreshed: dict[str, float] = {}

    async def live(self, pages: dict[str, tuple[str, str]], until: float, think: float, begin: float) -> None:
        """Open pages, one after another, until the time is over."""
        await asyncio.sleep(begin)
        chance = random.Random()
        try:
            async with websockets.connect(
                self._url, additional_headers=self._headers, subprotocols=["streamlit"], max_size=None,  # type: ignore[list-item]
                compression=None, open_timeout=60,
            ) as socket:  # fmt: skip
                while time.monotonic() < until:
                    name = chance.choice(list(pages))
                    began = time.perf_counter()
                    await self._ask(socket, *pages[name])
                    if time.monotonic() > self._told.since:
                        self._told.pages[name].append(time.perf_counter() - began)
                    await self._read(socket, time.monotonic() + chance.uniform(0.5, 1.5) * think)
        except (OSError, websockets.WebSocketException, TimeoutError) as error:
            self._told.faults.append(f"{type(error).__name__}: {error}")

    async def _ask(self, socket: websockets.ClientConnection, page: str, query: str) -> None:
        asked = BackMsg()
        asked.rerun_script.query_string = query
        asked.rerun_script.page_name = "" if page in self._hashes else page
        asked.rerun_script.page_script_hash = self._hashes.get(page, "")
        asked.rerun_script.context_info.timezone = "UTC"
        self._refreshed.clear()
        await socket.send(asked.SerializeToString())
        await self._finished(socket)

    async def _finished(self, socket: websockets.ClientConnection) -> None:
        async with asyncio.timeout(120):
            while True:
                message = ForwardMsg.FromString(await socket.recv(decode=False))
                kind = message.WhichOneof("type")
                if kind == "navigation":
                    self._hashes = {p.url_pathname: p.page_script_hash for p in message.navigation.app_pages}
                    self._hashes[""] = next(
                        p.page_script_hash for p in message.navigation.app_pages if p.is_default
                    )
                elif kind == "auto_rerun":
                    self._refreshed[message.auto_rerun.fragment_id] = message.auto_rerun.interval
                elif kind == "delta" and message.delta.new_element.WhichOneof("type") == "exception":
                    self._told.faults.append(message.delta.new_element.exception.message[:200])
                elif kind == "script_finished" and message.script_finished in (0, 1, 3):
                    return

    async def _read(self, socket: websockets.ClientConnection, until: float) -> None:
        """Look at the page; meanwhile what refreshes itself does."""
        while time.monotonic() < until:
            rest = until - time.monotonic()
            soonest = min(self._refreshed.values(), default=math.inf)
            await asyncio.sleep(max(min(rest, soonest), 0))
            if soonest < rest:
                fragment = min(self._refreshed, key=lambda id: self._refreshed[id])
                asked = BackMsg()
                asked.rerun_script.fragment_id = fragment
                asked.rerun_script.is_auto_rerun = True
                asked.rerun_script.page_script_hash = ""
                began = time.perf_counter()
                await socket.send(asked.SerializeToString())
                await self._finished(socket)
                self._told.fragments.append(time.perf_counter() - began)


@contextlib.contextmanager
def loading(api: Api, rows: int, told: Told) -> Iterator[None]:
    """A million rows going in, and again as soon as they are in, while the block runs."""
    if not rows:
        yield
        return
    path = generate(HERE.parent / ".cache" / "benchmarks", rows, "csv", 42)
    sealed = api("POST", "/payloads", params={"name": path.name}, content=path.read_bytes())["payload"]
    mapping = (HERE / "indicator-csv.yaml").read_text()
    ended = threading.Event()

    def load() -> None:
        while not ended.is_set():
            began = time.perf_counter()
            params: dict[str, object] = {"payload": sealed, "wait": 0}
            headers = {"content-type": "application/yaml"}
            run = api("POST", "/ingest", params=params, content=mapping.encode(), headers=headers)["run"]
            while not ended.is_set():
                if api("GET", f"/runs/{run}", params={"wait": 2})["state"] != "running":
                    told.loads.append(time.perf_counter() - began)
                    break

    thread = threading.Thread(target=load, daemon=True)
    thread.start()
    yield
    ended.set()
    thread.join(60)


def cookies(served: Served) -> list[str]:
    """Sign-ins of engineers of the tenant."""
    for n in range(ENGINEERS):
        served.add_person(f"engineer{n}", "engineer")
    return [served.sign_in(f"engineer{n}") for n in range(ENGINEERS)]


async def crowd(
    served: Served, there: Furnished, told: Told, people: int, seconds: float, think: float
) -> None:
    """So many people at once, for so long once they are all there."""
    keys = await asyncio.to_thread(cookies, served)
    told.since = time.monotonic() + WARM
    until = told.since + seconds
    pages = shown(there)
    await asyncio.gather(
        *(
            Person(served.url, keys[n % len(keys)], told).live(pages, until, think, WARM * n / people)
            for n in range(people)
        )
    )


def alone(served: Served, there: Furnished) -> dict[str, tuple[int, float]]:
    """For one person: API calls a page makes, and its seconds; the third of three openings."""
    with served.http() as http:

        def answers() -> int:
            lines = http.get("/metrics").text.splitlines()
            return sum(int(line.split()[-1]) for line in lines if line.startswith("spire_http_answers_total"))

        async def one() -> dict[str, tuple[int, float]]:
            found: dict[str, tuple[int, float]] = {}
            told = Told()
            person = Person(served.url, served.cookie, told)
            async with websockets.connect(
                person._url, additional_headers=person._headers, subprotocols=["streamlit"], max_size=None,  # type: ignore[list-item]
                compression=None,
            ) as socket:  # fmt: skip
                for name, page in shown(there).items():
                    for _ in range(3):
                        before, began = answers(), time.perf_counter()
                        await person._ask(socket, *page)
                        # One answer is that to the question before.
                        found[name] = (0, time.perf_counter() - began)
                        found[name] = (answers() - before - 1, found[name][1])
            assert not told.faults, told.faults
            return found

        return asyncio.run(one())


def percentile(values: list[float], share: float) -> float:
    """The value that this share of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(math.ceil(share * len(ordered)), len(ordered)) - 1] if ordered else math.nan


def table(told: Told, single: dict[str, tuple[int, float]]) -> str:
    """The figures as a table for docs/benchmarks.md."""
    lines = [
        "| page | API calls | alone, s | opened | p50, s | p95, s | longest, s |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]

    def line(name: str, took: list[float]) -> None:
        calls, seconds = single.get(name, (0, math.nan))
        first = f"{calls} | {seconds:.2f}" if name in single else " | "
        lines.append(
            f"| {name} | {first} | {len(took)} | {percentile(took, 0.5):.2f} "
            f"| {percentile(took, 0.95):.2f} | {max(took, default=math.nan):.2f} |"
        )

    for name in single:
        line(name, told.pages[name])
    line("**all pages**", [took for each in told.pages.values() for took in each])
    if told.fragments:
        line("what refreshes itself", told.fragments)
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--think", type=float, default=15, help="seconds a page is looked at, ± half")
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the load meanwhile; 0 is none")
    options = parser.parse_args()
    os.environ["HOME"] = tempfile.mkdtemp(prefix="spire-bench-")
    with serving() as served:
        served.set_up()
        there = furnish(served, "full")
        single = alone(served, there)
        told = Told()
        with loading(Api(served), options.rows, told):
            asyncio.run(crowd(served, there, told, options.people, options.seconds, options.think))
        print(table(told, single))
        print(
            f"\n{len(told.loads)} loads of {options.rows:,} rows ended, in s: {[round(s) for s in told.loads]}"
        )
        for fault in sorted(set(told.faults)):
            print(f"fault: {fault}")


if __name__ == "__main__":
    main()
