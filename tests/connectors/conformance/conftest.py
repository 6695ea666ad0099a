"""What the suite is given: a connector's real server, a reader apart, and less patience than in earnest."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.connectors.conformance import Impatience, Reader, Reading, Serving
from tests.connectors.harness import HARNESSES, Ground, Kind
from tests.servers.proxy import Proxy


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
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
