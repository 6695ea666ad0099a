"""Landing zone: whole payloads or none, uploads that survive, and no name that becomes a path."""

from __future__ import annotations

import hashlib
import io
import os
import random
import resource
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.ports import Payload, Segment
from storage.disk import DiskFull
from storage.landing import (
    AlreadySealed,
    Busy,
    Landing,
    NoSuchUpload,
    OtherBytes,
    WrongOffset,
    WrongSize,
)
from storage.seal import CHUNK, Tampered

KEY = b"l" * 32
DATA = random.Random(2).randbytes(2 * CHUNK + 1234)


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    return Landing(tmp_path, KEY, "acme")


def payload(data: bytes = DATA, name: str = "feed.csv") -> Payload:
    return Payload(name, io.BytesIO(data), media_type="text/csv")


def files(root: Path) -> list[str]:
    return sorted(
        str(path.relative_to(root / "tenants/acme/raw")) for path in root.rglob("*") if path.is_file()
    )


def test_a_payload_comes_back_as_it_was_with_its_name_and_digest(landing: Landing, tmp_path: Path) -> None:
    segment = landing.seal(payload(), "run-1", 1)
    assert segment == Segment("run-1", 1, "feed.csv", len(DATA), hashlib.sha256(DATA).hexdigest())
    with landing.open(segment) as reader:
        assert reader.read() == DATA
        assert reader.seek(CHUNK) == CHUNK
        assert reader.read(4) == DATA[CHUNK : CHUNK + 4]
    assert files(tmp_path) == ["run-1/1.meta", "run-1/1.seal"]
    assert Landing(tmp_path, KEY, "acme").segments("run-1") == [segment]
    assert landing.media_type(segment) == "text/csv"
    assert landing.runs() == ["run-1"]


def test_neither_content_nor_name_stands_on_the_disk_and_only_the_owner_can_read(
    landing: Landing, tmp_path: Path
) -> None:
    landing.seal(payload(b"marker-in-content" * 10, "marker-in-name.csv"), "run-1", 1)
    landing.append(landing.begin("marker-in-upload.csv"), 0, b"marker-in-content" * CHUNK)
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert b"marker" not in path.read_bytes()
            assert "marker" not in str(path.relative_to(tmp_path))
            assert path.stat().st_mode & 0o077 == 0
    assert (tmp_path / "tenants/acme/raw").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a\0b", "..", "x" * 1000, "né\ud800w"])
def test_a_name_from_outside_never_becomes_a_path(landing: Landing, tmp_path: Path, name: str) -> None:
    assert landing.seal(payload(b"x", name), "run-1", 1).name == name
    upload = landing.begin(name)
    landing.append(upload, 0, b"x")
    assert landing.finish(upload).name == name
    assert files(tmp_path) == [f"run-1/1.{end}" for end in ("meta", "seal")] + [
        f"{upload}/{end}" for end in ("1.meta", "1.seal", "upload")
    ]


@pytest.mark.parametrize("run", ["..", "../acme", "a/b", "", ".", "a\0", "-x", "x" * 101, "é"])
def test_an_identifier_that_is_a_path_is_refused(landing: Landing, run: str) -> None:
    with pytest.raises(NoSuchUpload):
        landing.seal(payload(), run, 1)
    with pytest.raises(NoSuchUpload):
        landing.open(Segment(run, 1, "x", 1, ""))
    for action in (landing.offset, landing.finish, landing.delete, landing.segments):
        with pytest.raises(NoSuchUpload):
            action(run)


def test_sealing_the_same_bytes_again_is_harmless_and_other_bytes_never_replace_them(
    landing: Landing, tmp_path: Path
) -> None:
    first = landing.seal(payload(), "run-1", 1)
    assert landing.seal(payload(), "run-1", 1) == first
    with pytest.raises(AlreadySealed):
        landing.seal(payload(b"other"), "run-1", 1)
    assert landing.open(first).read() == DATA
    assert files(tmp_path) == ["run-1/1.meta", "run-1/1.seal"]


def test_a_payload_that_is_discarded_makes_room_for_another(landing: Landing, tmp_path: Path) -> None:
    kept = landing.seal(payload(), "run-1", 1)
    landing.seal(payload(b"left by a crash"), "run-1", 2)
    landing.discard("run-1", 2)
    landing.discard("run-1", 2)
    assert landing.segments("run-1") == [kept]
    assert landing.open(landing.seal(payload(b"other"), "run-1", 2)).read() == b"other"


def test_a_source_that_breaks_off_leaves_nothing(landing: Landing, tmp_path: Path) -> None:
    class Breaks(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > CHUNK:
                raise ConnectionResetError
            return super().read(size)

    with pytest.raises(ConnectionResetError):
        landing.seal(Payload("x", Breaks(DATA)), "run-1", 1)
    assert files(tmp_path) == []
    assert landing.segments("run-1") == []


def test_a_file_swapped_with_another_one_of_the_same_tenant_is_refused(
    landing: Landing, tmp_path: Path
) -> None:
    one, two = landing.seal(payload(), "run-1", 1), landing.seal(payload(DATA[::-1]), "run-1", 2)
    raw = tmp_path / "tenants/acme/raw/run-1"
    (raw / "2.seal").rename(raw / "kept")
    (raw / "1.seal").rename(raw / "2.seal")
    with pytest.raises(Tampered, match="run-1, segment 2"):
        landing.open(two)
    (raw / "1.meta").rename(raw / "2.meta")
    with pytest.raises(Tampered):
        landing.segment("run-1", 2)
    with pytest.raises(NoSuchUpload):
        landing.open(one)


def test_an_older_payload_put_back_in_the_same_place_is_refused_by_its_length(
    landing: Landing, tmp_path: Path
) -> None:
    old = landing.seal(payload(b"old"), "run-1", 1)
    kept = (tmp_path / "tenants/acme/raw/run-1/1.seal").read_bytes()
    landing.delete("run-1")
    new = landing.seal(payload(b"newer"), "run-1", 1)
    (tmp_path / "tenants/acme/raw/run-1/1.seal").write_bytes(kept)
    assert old != new
    with pytest.raises(Tampered, match="another length"):
        landing.open(new)


def test_another_tenants_landing_opens_nothing(landing: Landing, tmp_path: Path) -> None:
    segment = landing.seal(payload(), "run-1", 1)
    (tmp_path / "tenants/acme").rename(tmp_path / "tenants/globex")
    with pytest.raises(Tampered):
        Landing(tmp_path, KEY, "globex").open(segment)


def test_delete_removes_a_run_and_only_that(landing: Landing, tmp_path: Path) -> None:
    landing.seal(payload(), "run-1", 1)
    kept = landing.seal(payload(), "run-10", 1)
    landing.delete("run-1")
    assert landing.runs() == ["run-10"]
    assert landing.open(kept).read() == DATA


# Uploads


def test_an_upload_in_parts_becomes_a_segment(landing: Landing) -> None:
    upload = landing.begin("big.ndjson", len(DATA), "application/x-ndjson")
    assert landing.offset(upload) == 0
    at = 0
    while at < len(DATA):
        at = landing.append(upload, at, DATA[at : at + 300_000])
        assert landing.offset(upload) == at
    segment = landing.finish(upload)
    assert (segment.name, segment.size, segment.run) == ("big.ndjson", len(DATA), upload)
    assert segment.sha256 == hashlib.sha256(DATA).hexdigest()
    assert landing.open(segment).read() == DATA
    assert landing.finish(upload) == segment
    assert landing.offset(upload) == len(DATA)
    assert landing.media_type(segment) == "application/x-ndjson"


def test_an_empty_upload_is_a_segment_of_no_bytes(landing: Landing) -> None:
    assert landing.open(landing.finish(landing.begin("empty", 0))).read() == b""


def test_a_part_may_come_again_and_overlap_but_not_differ(landing: Landing) -> None:
    upload = landing.begin("x")
    landing.append(upload, 0, [DATA[:CHUNK], DATA[CHUNK : CHUNK + 5000]])
    assert landing.append(upload, 0, DATA[:CHUNK]) == CHUNK
    assert landing.append(upload, CHUNK, DATA[CHUNK : CHUNK + 9]) == CHUNK + 9
    assert landing.offset(upload) == CHUNK + 5000
    assert landing.append(upload, CHUNK + 100, DATA[CHUNK + 100 : CHUNK + 9000]) == CHUNK + 9000
    assert landing.append(upload, 0, DATA) == len(DATA)
    with pytest.raises(OtherBytes):
        landing.append(upload, 5, b"zzz")
    with pytest.raises(OtherBytes):
        landing.append(upload, len(DATA) - 3, b"zzzzzz")
    assert landing.open(landing.finish(upload)).read() == DATA


def test_a_gap_is_refused_and_the_expected_offset_named(landing: Landing) -> None:
    upload = landing.begin("x")
    landing.append(upload, 0, b"12345")
    for offset in (6, 10**12, -1):
        with pytest.raises(WrongOffset, match="Go on at offset 5"):
            landing.append(upload, offset, b"x")
    assert landing.offset(upload) == 5


def test_an_upload_holds_to_the_size_it_announced(landing: Landing) -> None:
    upload = landing.begin("x", 10)
    landing.append(upload, 0, b"12345")
    with pytest.raises(WrongSize, match="5 bytes of 10"):
        landing.finish(upload)
    with pytest.raises(WrongSize, match="announced with 10"):
        landing.append(upload, 5, b"123456")
    landing.append(upload, 5, b"67890")
    assert landing.open(landing.finish(upload)).read() == b"1234567890"
    with pytest.raises(WrongOffset, match="finished"):
        landing.append(upload, 10, b"x")


def test_an_upload_nobody_began_is_not_received(landing: Landing, tmp_path: Path) -> None:
    for action in (landing.offset, landing.finish, lambda upload: landing.append(upload, 0, b"x")):
        with pytest.raises(NoSuchUpload):
            action("u" + "0" * 32)
    assert files(tmp_path) == []


def test_a_client_that_breaks_off_goes_on_where_it_was(landing: Landing) -> None:
    def breaks() -> Iterator[bytes]:
        yield DATA[:CHUNK]
        yield DATA[CHUNK : CHUNK + 700]
        raise TimeoutError

    upload = landing.begin("x")
    with pytest.raises(TimeoutError):
        landing.append(upload, 0, breaks())
    at = landing.offset(upload)
    assert at <= CHUNK + 700
    landing.append(upload, at, DATA[at:])
    assert landing.open(landing.finish(upload)).read() == DATA


def test_an_upload_goes_on_after_the_process_is_killed(landing: Landing, tmp_path: Path) -> None:
    upload = landing.begin("x", len(DATA))
    code = f"""
        import os, signal, sys
        from pathlib import Path
        from storage.landing import Landing
        landing = Landing(Path({str(tmp_path)!r}), {KEY!r}, "acme")
        landing.append({upload!r}, 0, sys.stdin.buffer.read())
        os.kill(os.getpid(), signal.SIGKILL)
    """
    killed = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        input=DATA[: 2 * CHUNK + 99],
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    fresh = Landing(tmp_path, KEY, "acme")
    assert fresh.sweep() == 0
    assert fresh.offset(upload) == 2 * CHUNK
    with pytest.raises(WrongOffset, match=f"offset {2 * CHUNK}"):
        fresh.append(upload, 2 * CHUNK + 99, b"x")
    fresh.append(upload, 2 * CHUNK, DATA[2 * CHUNK :])
    segment = fresh.finish(upload)
    assert segment.sha256 == hashlib.sha256(DATA).hexdigest()
    assert fresh.open(segment).read() == DATA


def test_two_processes_cannot_receive_the_same_upload(landing: Landing, tmp_path: Path) -> None:
    upload = landing.begin("x")
    landing.append(upload, 0, b"123")
    with pytest.raises(Busy):
        Landing(tmp_path, KEY, "acme").append(upload, 0, b"456")
    landing.append(upload, 3, b"456")
    assert landing.open(landing.finish(upload)).read() == b"123456"


def test_many_uploads_at_once_need_few_open_files_and_lose_nothing(landing: Landing) -> None:
    uploads = [landing.begin(str(i)) for i in range(80)]
    for upload in uploads:
        landing.append(upload, 0, DATA[: CHUNK + 5])
    assert len(os.listdir("/proc/self/fd")) < 200
    for upload in uploads:
        at = landing.offset(upload)
        assert at in (CHUNK, CHUNK + 5)
        landing.append(upload, at, DATA[at : CHUNK + 9])
        assert landing.finish(upload).size == CHUNK + 9


def test_a_sender_that_hangs_does_not_keep_another_from_going_on(landing: Landing) -> None:
    upload, hanging, done = landing.begin("x"), threading.Event(), threading.Event()

    def hangs() -> Iterator[bytes]:
        yield DATA[:700]
        hanging.set()
        done.wait(10)
        yield DATA[700:900]

    thread = threading.Thread(target=landing.append, args=(upload, 0, hangs()))
    thread.start()
    assert hanging.wait(10)
    assert landing.offset(upload) == 700
    landing.append(upload, 700, DATA[700:])
    done.set()
    thread.join()
    assert landing.open(landing.finish(upload)).read() == DATA


def test_parts_sent_by_two_threads_at_once_stay_whole(landing: Landing) -> None:
    upload = landing.begin("x")
    results: list[int] = []

    def send() -> None:
        results.append(landing.append(upload, 0, [DATA[i : i + 50_000] for i in range(0, len(DATA), 50_000)]))

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [len(DATA)] * 4
    assert landing.open(landing.finish(upload)).read() == DATA


# Crashes and full disks


def test_sweep_removes_what_a_crash_left_and_keeps_what_is_whole(landing: Landing, tmp_path: Path) -> None:
    kept = landing.seal(payload(), "run-1", 1)
    raw = tmp_path / "tenants/acme/raw"
    (raw / "run-1/2.abcd.part").write_bytes(b"torn")
    (raw / "run-1/2.meta").write_bytes(b"no payload")
    (raw / "run-2").mkdir()
    (raw / "run-2/1.abcd.part").write_bytes(b"torn")
    young, old = landing.begin("young"), landing.begin("old")
    for path in (raw / old).iterdir():
        os.utime(path, (1, 1))
    assert landing.sweep() == 4
    assert files(tmp_path) == ["run-1/1.meta", "run-1/1.seal", f"{young}/upload"]
    assert landing.open(kept).read() == DATA
    assert landing.offset(young) == 0


def test_sweep_leaves_what_is_being_sealed_at_the_moment(landing: Landing) -> None:
    class Sweeps(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            assert landing.sweep(idle=0) == 0
            return super().read(size)

    assert landing.open(landing.seal(Payload("x", Sweeps(DATA)), "run-1", 1)).read() == DATA


@contextmanager
def little_room(size: int) -> Iterator[None]:
    """The system refuses to let any file grow beyond `size`, as a full disk or a quota would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_a_full_disk_says_so_and_leaves_nothing_of_the_payload(landing: Landing, tmp_path: Path) -> None:
    with (
        little_room(CHUNK + 5000),
        pytest.raises(DiskFull, match="The disk is full") as error,
    ):
        landing.seal(payload(), "run-1", 1)
    assert "Make room" in error.value.action
    assert files(tmp_path) == []
    assert landing.open(landing.seal(payload(), "run-1", 1)).read() == DATA


def test_a_disk_that_fills_during_an_upload_keeps_its_whole_chunks(landing: Landing) -> None:
    upload = landing.begin("x")
    with little_room(CHUNK + 5000), pytest.raises(DiskFull):
        landing.append(upload, 0, DATA)
    assert landing.offset(upload) == CHUNK
    landing.append(upload, CHUNK, DATA[CHUNK:])
    assert landing.open(landing.finish(upload)).read() == DATA


def test_a_disk_that_fills_at_the_finish_can_be_finished_later(landing: Landing) -> None:
    upload = landing.begin("x")
    landing.append(upload, 0, DATA[:5000])
    with little_room(1000), pytest.raises(DiskFull):
        landing.finish(upload)
    at = landing.offset(upload)
    landing.append(upload, at, DATA[at:5000])
    assert landing.open(landing.finish(upload)).read() == DATA[:5000]


def test_a_device_with_no_space_left_is_a_full_disk() -> None:
    from storage.disk import room
    from storage.seal import Sealer

    with pytest.raises(DiskFull), room("Here."), open("/dev/full", "wb", buffering=0) as sink:
        Sealer(sink, KEY, "acme", "r1", 1)
