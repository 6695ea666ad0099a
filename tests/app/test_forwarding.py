"""Through the gateway to the worker and back: whole, unread, unforged, and healed after a death."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.app.conftest import House, Served

HERE = "/api/v1/tenants/default"
BIG = 256 << 20


def peak(pid: int) -> int:
    """The most memory a process has had, in bytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) << 10


def pieces(size: int, digest: object = None) -> Iterator[bytes]:
    block = os.urandom(1 << 20)
    for _ in range(size >> 20):
        if digest is not None:
            digest.update(block)  # type: ignore[attr-defined]
        yield block


def test_an_upload_passes_unchanged_with_flat_memory(house: House) -> None:
    gateway = house.served.process.pid
    with house.served.client(key=house.keys["analyst"]) as http:
        worker = http.get(f"{HERE}/state").json()["pid"]
        before = peak(gateway), peak(worker)
        digest = hashlib.sha256()
        answer = http.post(f"{HERE}/payloads", content=pieces(BIG, digest)).json()
    assert answer["size"] == BIG
    assert answer["sha256"] == digest.hexdigest()
    assert peak(gateway) - before[0] < 48 << 20
    assert peak(worker) - before[1] < 48 << 20


def test_an_export_passes_whole_with_flat_memory_to_a_slow_reader(house: House) -> None:
    gateway = house.served.process.pid
    before, size = peak(gateway), 0
    reader = house.served.client(key=house.keys["viewer"])
    with reader as http, http.stream("GET", f"{HERE}/export/indicator?size={BIG}") as answer:
        time.sleep(0.5)  # what is not read yet must wait in the worker
        assert peak(gateway) - before < 48 << 20
        for piece in answer.iter_raw():
            size += len(piece)
    assert size == BIG
    assert peak(gateway) - before < 48 << 20


def test_who_asks_is_said_by_the_gateway_alone(house: House) -> None:
    forged = {
        "x-spire-user": "root",
        "x-spire-role": "administrator",
        "X-Spire-Else": "1",
        "x-custom": "kept",
    }
    with house.served.client(key=house.keys["viewer"]) as http:
        seen = http.get(f"{HERE}/state", headers=forged).json()["headers"]
    assert seen["x-spire-role"] == "viewer"
    assert seen["x-spire-user"].startswith("key:")
    assert seen["x-custom"] == "kept"
    assert {"authorization", "cookie", "x-spire-else"}.isdisjoint(seen)


def test_a_worker_can_not_set_cookies_or_speak_for_the_gateway(house: House) -> None:
    with house.served.client(key=house.keys["viewer"]) as http:
        answer = http.get(f"{HERE}/export/indicator?size=1")
    assert {"set-cookie", "x-spire-user", "server"}.isdisjoint(answer.headers)


def test_path_and_query_arrive_as_they_were_sent(house: House) -> None:
    with house.served.client(key=house.keys["viewer"]) as http:
        seen = http.get(f"{HERE}/state?a=%2F..%2F&b=1+2").json()
    assert seen["query"] == "a=%2F..%2F&b=1+2"
    assert seen["path"] == "/state"


def test_a_path_that_reads_in_two_ways_is_refused(house: House) -> None:
    with house.served.client(key=house.keys["administrator"]) as http:
        for path in ("/sources/%2e%2e/state", "/sources//x", "/records/a%2f..%2fb", "/sources/%5c"):
            request = http.build_request("GET", f"{HERE}/state")
            request.extensions["target"] = f"{HERE}{path}".encode()
            assert http.send(request).status_code == 400, path


def test_another_tenant_is_out_of_reach_whether_or_not_it_exists(house: House) -> None:
    with house.served.client(key=house.keys["administrator"]) as http:
        answers = [http.get(f"/api/v1/tenants/{tenant}/state") for tenant in ("other", "nowhere")]
    assert [answer.status_code for answer in answers] == [403, 403]
    assert answers[0].json()["title"] == answers[1].json()["title"]


def test_two_tenants_have_two_workers_and_two_keys(house: House) -> None:
    with house.served.client(cookie=house.served.sign_in()) as http:
        mine, theirs = (http.get(f"/api/v1/tenants/{tenant}/state").json() for tenant in ("default", "other"))
    assert mine["pid"] != theirs["pid"]
    assert mine["key"] != theirs["key"]


def test_a_killed_worker_is_healed_and_the_next_request_answered(house: House) -> None:
    with house.served.client(key=house.keys["viewer"]) as http:
        for _ in range(2):
            pid = http.get(f"{HERE}/state").json()["pid"]
            os.kill(pid, signal.SIGKILL)
            answer = http.get(f"{HERE}/state")
            assert answer.status_code == 200, answer.text
            assert answer.json()["pid"] != pid


def test_an_upload_into_a_dying_worker_ends_with_a_problem_that_says_what_to_do(house: House) -> None:
    with house.served.client(key=house.keys["analyst"]) as http:
        pid = http.get(f"{HERE}/state").json()["pid"]

        def slow() -> Iterator[bytes]:
            yield b"x" * 100_000
            time.sleep(0.7)  # until the worker has some of it: before that the upload would just begin anew
            os.kill(pid, signal.SIGKILL)
            for _ in range(20):
                yield b"x" * 100_000
                time.sleep(0.02)

        answer = http.post(f"{HERE}/payloads", content=slow())
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["action"]
        assert http.get(f"{HERE}/state").status_code == 200


def test_a_reader_who_leaves_gives_the_worker_its_connection_back(house: House) -> None:
    with house.served.client(key=house.keys["viewer"]) as http:
        for _ in range(5):
            with http.stream("GET", f"{HERE}/export/indicator?size={1 << 40}") as answer:
                next(answer.iter_raw())
        assert http.get(f"{HERE}/state").status_code == 200


def test_the_gateway_answers_at_once_while_a_big_upload_passes(house: House) -> None:
    done = threading.Event()

    def upload() -> None:
        with house.served.client(key=house.keys["analyst"]) as http:
            http.post(f"{HERE}/payloads", content=pieces(BIG))
        done.set()

    thread = threading.Thread(target=upload)
    thread.start()
    answers = 0
    with house.served.client(key=house.keys["viewer"]) as http:
        while not done.is_set():
            assert http.get("/api/v1/me").status_code == 200
            answers += 1
    thread.join()
    # One that waited for the upload to pass would be the only one.
    assert answers > 5


def test_stopping_the_gateway_is_quick_and_takes_the_workers_along(unserved: Served) -> None:
    unserved.start()
    cookie = unserved.set_up()
    with unserved.client(cookie=cookie) as http:
        pid = http.get(f"{HERE}/state").json()["pid"]
    assert unserved.stop() < 5
    assert not Path(f"/proc/{pid}").exists()


def test_the_log_holds_no_address_and_so_no_token(unserved: Served) -> None:
    unserved.log = unserved.folder / "log"
    unserved.start()
    with unserved.client() as http:
        http.get(f"/setup?token={unserved.token}")
    unserved.stop()
    assert unserved.token not in unserved.log.read_text()


def test_an_unknown_route_is_a_problem_of_our_own(house: House) -> None:
    with house.served.client(key=house.keys["administrator"]) as http:
        for path in ("/api/x", "/api/v1/nothing", f"{HERE}/nothing", "/auth/other"):
            answer = http.get(path)
            assert answer.status_code == 404, path
            assert answer.headers["content-type"] == "application/problem+json"
    with httpx.Client(base_url=house.served.url) as http:
        assert http.get("/api/v1/nothing").status_code == 401
