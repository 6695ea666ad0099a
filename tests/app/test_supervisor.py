"""A worker's life: started on demand, alone with its key, healed, and stopped without loss."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.control import Unlocked
from app.grant import working_marker
from app.settings import Settings
from app.supervisor import Supervisor, healthy
from app.worker import NICE, own, owned
from storage.audit import Level
from storage.control.tenants import NoSuchTenant

STUB = "tests.app.tenant_stub:create_app"


class Keys:
    """Two tenants' keys."""

    keys = {"acme": b"\x01\x5a" * 16, "other": b"\x02\xa5" * 16}

    def unlock(self, tenant: str) -> Unlocked:
        if tenant not in self.keys:
            raise NoSuchTenant()
        return Unlocked(self.keys[tenant], b"", Level.STANDARD)


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    made = Settings(data_dir=tmp_path / "d", key_file=tmp_path / "root.key", worker_start=20)
    yield made
    shutil.rmtree(made.runtime_dir())


@pytest.fixture
def supervisor(settings: Settings) -> Iterator[Supervisor]:
    made = Supervisor(settings, Keys(), app=STUB)
    yield made
    made.stop_all(10)


def ask(socket: Path, path: str, method: str = "GET") -> httpx.Response:
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(socket))) as client:
        return client.request(method, f"http://worker{path}")


def until(holds: object, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def test_a_worker_starts_on_demand_and_is_one_per_tenant(supervisor: Supervisor) -> None:
    first, again, other = (supervisor.socket(tenant) for tenant in ("acme", "acme", "other"))
    assert first == again != other
    assert ask(first, "/state").json()["tenant"] == "acme"
    assert set(supervisor.running()) == {"acme", "other"}


def test_the_key_is_in_no_environment_argument_or_file(supervisor: Supervisor, settings: Settings) -> None:
    supervisor.socket("acme")
    pid, key = supervisor.running()["acme"], Keys.keys["acme"]
    places = [Path(f"/proc/{pid}/environ"), Path(f"/proc/{pid}/cmdline")]
    places += [path for path in settings.data_dir.rglob("*") if path.is_file()]
    for place in places:
        found = place.read_bytes()
        assert key not in found, place
        assert key.hex().encode() not in found, place


def test_the_socket_is_for_us_alone(supervisor: Supervisor) -> None:
    socket = supervisor.socket("acme")
    until(lambda: socket.stat().st_mode & 0o777 == 0o600)
    assert socket.parent.stat().st_mode & 0o777 == 0o700


def test_a_long_data_folder_still_gets_a_socket_path_the_kernel_takes(tmp_path: Path) -> None:
    deep = Settings(data_dir=tmp_path / ("x" * 60) / ("y" * 60))
    path = deep.socket_path("t" * 63)
    assert len(os.fsencode(path)) <= 100
    assert path.parent.stat().st_mode & 0o777 == 0o700
    path.parent.rmdir()


def test_a_worker_is_niced_and_leaves_no_core(supervisor: Supervisor) -> None:
    socket = supervisor.socket("acme")
    assert ask(socket, "/state").json()["nice"] >= NICE
    limits = Path(f"/proc/{supervisor.running()['acme']}/limits").read_text()
    core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
    assert core.split()[4:6] == ["0", "0"]


def test_a_killed_worker_is_started_again_without_being_asked(supervisor: Supervisor) -> None:
    socket = supervisor.socket("acme")
    before = supervisor.running()["acme"]
    os.kill(before, signal.SIGKILL)
    until(lambda: supervisor.running().get("acme") not in {None, before} and healthy(socket, "acme"))
    assert supervisor.restarts == 1


def test_an_idle_worker_leaves_and_comes_back_when_needed(settings: Settings) -> None:
    supervisor = Supervisor(settings.model_copy(update={"worker_idle": 0.3}), Keys(), app=STUB)
    try:
        supervisor.socket("acme")
        until(lambda: not supervisor.running())
        assert not owned(settings.tenant_dir("acme"))
        assert ask(supervisor.socket("acme"), "/state").status_code == 200
        assert supervisor.restarts == 0
    finally:
        supervisor.stop_all(10)


def test_a_worker_told_to_stop_finishes_its_batch(supervisor: Supervisor, settings: Settings) -> None:
    ask(supervisor.socket("acme"), "/ingest?seconds=30", "POST")
    assert working_marker(settings.tenant_dir("acme")).exists()
    supervisor.stop("acme")
    assert (settings.tenant_dir("acme") / "finished-its-batch").exists()
    assert not working_marker(settings.tenant_dir("acme")).exists()


def test_a_worker_killed_in_a_run_is_started_when_the_server_comes_back(settings: Settings) -> None:
    first = Supervisor(settings, Keys(), app=STUB)
    ask(first.socket("acme"), "/ingest?seconds=30", "POST")
    first._closed = True  # the server dies with its worker and heals nothing
    os.kill(first.running()["acme"], signal.SIGKILL)
    until(lambda: not first.running())
    second = Supervisor(settings, Keys(), app=STUB)
    try:
        assert second.resume_interrupted() == ["acme"]
    finally:
        second.stop_all(10)


def test_the_lock_decides_and_a_second_parent_uses_the_first_ones_worker(
    supervisor: Supervisor, settings: Settings
) -> None:
    mine = ask(supervisor.socket("acme"), "/state").json()["pid"]
    guest = Supervisor(settings, Keys(), app=STUB)
    assert ask(guest.socket("acme"), "/state").json()["pid"] == mine
    assert guest.running() == {}
    guest.stop_all(1)
    assert healthy(settings.socket_path("acme"), "acme")


def test_a_worker_of_a_dead_parent_that_still_dies_is_not_waited_for_once_it_is_gone(
    supervisor: Supervisor, settings: Settings
) -> None:
    dying = own(settings.tenant_dir("acme"))
    threading.Timer(0.5, os.close, [dying]).start()
    assert ask(supervisor.socket("acme"), "/state").json()["tenant"] == "acme"


def test_workers_die_with_a_parent_that_was_killed(settings: Settings, tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom app.settings import Settings\n"
        "from app.supervisor import Supervisor\nfrom tests.app.test_supervisor import Keys, STUB\n"
        "s = Supervisor(Settings(data_dir=Path(sys.argv[1])), Keys(), app=STUB)\ns.socket('acme')\n"
        "print(s.running()['acme'], flush=True)\ntime.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(settings.data_dir)], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    int(parent.stdout.readline())
    assert owned(settings.tenant_dir("acme"))
    parent.kill()
    parent.wait()
    until(lambda: not owned(settings.tenant_dir("acme")))


def test_an_unknown_tenant_has_no_worker(supervisor: Supervisor) -> None:
    with pytest.raises(NoSuchTenant):
        supervisor.socket("nobody")
