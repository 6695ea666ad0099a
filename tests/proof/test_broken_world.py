"""A full disk, a wrong key, a damaged file and hostile uploads say so and harm nothing."""

from __future__ import annotations

import gzip
import io
import os
import resource
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.client import Client
from app.wire import Refused, TryAgain
from tests.conftest import missing
from tests.proof.serving import ROOT, Installation, installation, patiently
from tests.proof.test_kill import feed, sealed

MEMORY = 1.2e9
ROWS = 20_000


@pytest.fixture(scope="module")
def place() -> Iterator[Installation]:
    with installation() as made:
        yield made


def records(client: Client) -> int:
    return int(patiently(lambda: client.query("SELECT count(*) FROM indicator")).rows[0][0])


# A full disk


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """A file system of this size on the folder."""
    folder.mkdir(parents=True, mode=0o700)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", str(folder)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        missing("a small disk", f"mount refused: {done.stderr.strip()[:100]}", required=False)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@dataclass
class Crowded:
    """A tenant for which room can be taken away and given back."""

    client: Client
    take: Callable[[int], None]
    give: Callable[[], None]


@pytest.fixture(params=["a small disk", "a size limit"])
def crowded(place: Installation, request: pytest.FixtureRequest) -> Iterator[Crowded]:
    """On a disk of 64 MB that can be filled; and under a limit of file size, which needs no root."""
    tenant = request.param.replace(" ", "-")
    folder = place.data / "tenants" / tenant
    ballast = folder / "ballast"

    def fill(leaving: int) -> None:
        found = os.statvfs(folder)
        ballast.write_bytes(b"\0" * max(found.f_bavail * found.f_frsize - leaving, 0))

    def limit(size: int) -> None:
        resource.prlimit(place.worker(tenant) or 0, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    with small_disk(folder, "64m") if request.param == "a small disk" else nullcontext():
        with place.tenant(tenant) as client:
            patiently(client.state)
            if request.param == "a small disk":
                yield Crowded(client, fill, ballast.unlink)
            else:
                yield Crowded(client, limit, lambda: limit(resource.RLIM_INFINITY))
        with place.client(cookie=place.admin) as http:
            http.delete(f"/api/v1/tenants/{tenant}?confirm={tenant}")


def test_a_disk_that_fills_up_says_so_and_everything_goes_on_once_there_is_room(
    crowded: Crowded,
) -> None:
    client = crowded.client
    data = feed(ROWS)
    first = client.ingest_payload(sealed(client, feed(500)), target="indicator", wait=60)
    assert first.state == "finished"
    kept = records(client)

    # While uploading: refused, what was received stays, and it goes on where it was.
    big = os.urandom(6 << 20)
    crowded.take(3 << 20)
    begun = client.request("POST", "/uploads", json={"name": "big.bin", "size": len(big)}).json()
    with pytest.raises(Refused, match="disk is full") as refused:
        client.request("PATCH", f"/uploads/{begun['upload']}", content=big, headers={"upload-offset": "0"})
    assert (refused.value.status, bool(refused.value.action)) == (503, True)
    assert records(client) == kept
    crowded.give()
    offset = int(client.request("HEAD", f"/uploads/{begun['upload']}").headers["upload-offset"])
    assert 0 < offset < len(big)
    rest = {"upload-offset": str(offset)}
    client.request("PATCH", f"/uploads/{begun['upload']}", content=big[offset:], headers=rest)
    assert client.request("POST", f"/uploads/{begun['upload']}/finish").json()["size"] == len(big)
    client.request("POST", "/sources", json={"payload": sealed(client, feed(3)), "name": "small"})

    # While running: the run fails and says why, its whole batches stay, and the rest comes later.
    payload = sealed(client, data)
    crowded.take(2 << 20)
    said = ""
    try:
        run = client.ingest_payload(payload, target="indicator", source="feed", wait=60)
        said = str(run.error)
        assert run.state in ("failed", "running")
        assert run.balanced
    except TryAgain as refusal:
        said = str(refusal)
    assert "disk is full" in said
    assert records(client) >= kept
    crowded.give()
    assert client.run(first.run).state == "finished"
    again = patiently(lambda: client.ingest_payload(payload, target="indicator", source="feed", wait=60))
    assert again.state == "finished", again.error
    assert again.balanced
    whole = records(client)
    once_more = client.ingest_payload(payload, target="indicator", source="feed", wait=60)
    assert (once_more.state, once_more.inserted, once_more.rejected) == ("finished", 0, again.rejected)
    assert records(client) == whole
    assert client.query("SELECT count(*) - count(DISTINCT id) FROM indicator").rows == [[0]]


# Keys


def started(env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """`spire serve` where it is meant to refuse."""
    code = "from app.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, "serve"], cwd=ROOT, env=os.environ | env, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_wrong_root_key_and_a_copy_without_its_key_open_nothing_and_the_right_one_still_does() -> None:
    with installation() as place:
        with place.tenant("acme") as client:
            done = client.ingest_payload(sealed(client, feed(200)), target="indicator", wait=60)
            before = records(client)
        place.stop()
        copy = place.folder / "copy"
        shutil.copytree(
            place.data, copy, ignore=lambda folder, names: [n for n in names if n.endswith(".sock")]
        )
        held = files(place.data)

        wrong = place.folder / "wrong.key"
        wrong.write_bytes((place.folder / "root.key").read_bytes())
        other = place.folder / "other"
        made = subprocess.run(
            [sys.executable, "-c", "from pathlib import Path; import sys; from storage.kek import create_key_file;"
             "create_key_file(Path(sys.argv[1]), data=Path(sys.argv[2]))", str(other), str(place.data)],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
        refused = started(place.env | {"SPIRE_KEY_FILE": str(other)})
        assert refused.returncode != 0
        said = refused.stdout + refused.stderr
        assert "The root key is not the one this installation was made with" in said
        assert "do: Start with the passphrase or key file" in said
        assert "Traceback" not in said
        assert files(place.data) == held

        without = started(place.env | {"SPIRE_KEY_FILE": str(place.folder / "gone" / "root.key")})
        assert without.returncode != 0
        assert "The root key file is gone" in without.stdout + without.stderr
        assert not (place.folder / "gone" / "root.key").exists()
        assert files(place.data) == held

        stolen = started(
            place.env
            | {"SPIRE_DATA_DIR": str(copy), "SPIRE_KEY_FILE": str(place.folder / "thief" / "root.key")}
        )
        assert stolen.returncode != 0
        for key in (b"\0" * 32, (place.folder / "root.key").read_bytes()[:32]):
            with pytest.raises(Exception, match=r"damaged|key") as refusal:
                opened(copy / "tenants" / "acme", key)
            assert "PLANTEDMARKER" not in str(refusal.value)
        assert not [path for path, data in files(copy).items() if b"PLANTEDMARKER" in data]

        place.start()
        with place.tenant("acme", make=False) as client:
            assert records(client) == before
            assert client.run(done.run).state == "finished"


def opened(folder: Path, key: bytes) -> None:
    from storage.store import Store

    Store.open(folder, key.ljust(32, b"\0")[:32]).close()


# Damaged payloads


@pytest.mark.parametrize(
    ("harm", "where"),
    [
        (lambda data: data[: len(data) // 2], "chunk"),
        (lambda data: data[:-1], "chunk"),
        (
            lambda data: (
                data[: (1 << 20) + 200] + bytes([data[(1 << 20) + 200] ^ 1]) + data[(1 << 20) + 201 :]
            ),
            "chunk 1",
        ),
        (lambda data: b"X" + data[1:], "header"),
        (lambda data: b"", "header"),
    ],
    ids=["cut in half", "cut by a byte", "one bit", "another magic", "empty"],
)
def test_a_damaged_payload_fails_its_run_by_name_and_no_other(
    place: Installation, harm: Callable[[bytes], bytes], where: str, request: pytest.FixtureRequest
) -> None:
    tenant = "damaged"
    with place.client(cookie=place.admin) as http:
        http.post("/api/v1/tenants", json={"id": tenant, "name": tenant})
    with place.tenant(tenant, make=False) as client:
        payload = sealed(client, feed(30_000))
        source = client.create_source(payload=payload, name=f"feed {request.node.callspec.id}")
        mapping = client.suggest(source.source.id, "indicator").suggestions[0].mapping
        pipeline = client.create_pipeline(
            name=f"p {payload[:6]}", source=source.source.id, mappings=[mapping]
        )
        path = place.data / "tenants" / tenant / "raw" / payload / "1.seal"
        whole = path.read_bytes()
        path.write_bytes(harm(whole))
        failed = client.start_run(pipeline.pipeline.id, wait=60)
        assert failed.state == "failed"
        assert failed.ledger.balanced
        error = failed.error or {}
        assert "not as it was written" in error["title"]
        assert payload in error["where"]
        assert "segment 1" in error["where"]
        assert where in error["where"]
        assert "backup" in error["action"]
        other = client.ingest_payload(sealed(client, feed(50)), target="indicator", source="other", wait=60)
        assert other.state == "finished"
        path.write_bytes(whole)
        assert client.start_run(pipeline.pipeline.id, wait=60).state == "finished"


# Hostile uploads


def zip_bomb() -> bytes:
    packed = io.BytesIO()
    with (
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("bomb.csv", "w") as member,
    ):
        for _ in range(512):
            member.write(b"0" * (1 << 20))
    return packed.getvalue()


def gzip_bomb() -> bytes:
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=9) as stream:
        for _ in range(512):
            stream.write(b"\n" * (1 << 20))
    return gzip.compress(packed.getvalue())


LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol">'
    + "".join(
        f'<!ENTITY lol{i} "{f"&lol{i - 1 if i > 1 else chr(32)};".replace(" ", "") * 10}">'
        for i in range(1, 10)
    )
    + "]><rows><row><a>&lol9;</a></row></rows>"
).encode()
OUTSIDE = b'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><r><row><a>&x;</a></row><row><a>b</a></row></r>'

HOSTILE: dict[str, tuple[str, Callable[[], bytes]]] = {
    "a zip bomb": ("bomb.zip", zip_bomb),
    "a gzip bomb in gzip": ("bomb.csv.gz", gzip_bomb),
    "a billion laughs": ("laughs.xml", lambda: LAUGHS),
    "an entity from outside": ("outside.xml", lambda: OUTSIDE),
    "deep JSON": ("deep.json", lambda: b'{"a":' * 200_000 + b"1" + b"}" * 200_000),
    "deep lists": ("deep.ndjson", lambda: b"[" * 1_000_000 + b"]" * 1_000_000),
    "deep XML": ("deep.xml", lambda: b"<a>" * 300_000 + b"</a>" * 300_000),
    "a huge field": ("huge.csv", lambda: b"value,comment\n192.0.2.1," + b"x" * (80 << 20) + b"\n192.0.2.2,ok\n"),
    "a huge JSON string": ("huge.json", lambda: b'[{"value":"' + b"x" * (80 << 20) + b'"},{"value":"192.0.2.2"}]'),
    "very many columns": ("wide.csv", lambda: b",".join(b"c%d" % i for i in range(200_000)) + b"\n" + b"1," * 199_999 + b"1\n"),
    "nothing but quotes": ("quotes.csv", lambda: b"a,b\n" + b'"' * (8 << 20)),
    "NULs": ("nul.csv", lambda: b"\0" * (8 << 20)),
    "very many short lines": ("short.csv", lambda: b"a,b\n" + b"1,2\n" * (2 << 20)),
    "nothing but line ends": ("ends.csv", lambda: b"a,b\n1,2\n" * 5 + b"\n" * (12 << 20)),
    "noise": ("noise.bin", lambda: os.urandom(4 << 20)),
    "nothing": ("empty.csv", lambda: b""),
    "a bundle of nothing": ("bundle.json", lambda: b'{"type":"bundle","objects":[null,1,"x",[],{}]}'),
    "a broken workbook": ("x.xlsx", lambda: b"PK\x03\x04" + os.urandom(5000)),
}  # fmt: skip


@pytest.fixture(scope="module")
def target(place: Installation) -> Iterator[Client]:
    """A tenant that is given all of it."""
    with place.tenant("target") as client:
        yield client


@pytest.mark.parametrize("name", list(HOSTILE))
def test_a_hostile_upload_is_answered_plainly_and_harms_nothing(
    place: Installation, target: Client, name: str
) -> None:
    file, made = HOSTILE[name]
    pid = patiently(target.state) and place.worker("target")
    with suppress(PermissionError):
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak is counted from here
    sent = target.upload_stream(io.BytesIO(made()), file)
    with place.client(place.key("target", "analyst")) as http:
        answer = http.post(
            "/api/v1/tenants/target/ingest",
            params={"payload": sent.payload, "target": "indicator", "wait": 120},
            timeout=httpx.Timeout(150),
        )
    told: dict[str, Any] = answer.json()
    if answer.is_error:
        assert answer.status_code in {409, 413, 422}, told
        assert answer.headers["content-type"] == "application/problem+json"
        assert told["title"]
        assert told["action"] or told["where"]
    else:
        # Taken apart into rows and rejects; or a run that says what stopped it.
        assert told["state"] in ("finished", "failed"), told
        assert told["balanced"]
        assert told["state"] == "finished" or "made a mistake" not in told["error"]["title"], told
    assert "root:" not in answer.text
    assert place.worker("target") == pid, "the worker did not survive it"
    print(
        f"{name}: {answer.status_code}, at most {peak(pid) / 1e6:.0f} MB",
        told.get("title") or told.get("state"),
    )
    assert peak(pid) < MEMORY
    assert target.ingest_payload(
        sealed(target, feed(20)), target="indicator", source="plain", wait=60
    ).balanced


def peak(pid: int | None) -> float:
    """The most memory a process ever held, in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) * 1024
