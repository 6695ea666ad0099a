"""Folders, web addresses, pasted text and samples: what is particular to each."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from connectors import NotConfigured, check, payloads_of, samples, url
from connectors.addresses import NotAllowed, checked, is_public
from connectors.folder import FolderClosed
from connectors.formats import sniff
from connectors.registry import Reach
from connectors.web import TooMuch, TooSlow, Turned
from engine.model import Source
from engine.ports import Cursor
from tests.connectors.reading import read
from tests.connectors.web import Web


def source(connector: str, **config: Any) -> Source:
    return Source(id="s", name="s", connector=connector, config=config)


def taken(
    from_: Source, since: Cursor | None = None, *, hosts: tuple[str, ...] = (), folders: tuple[str, ...] = ()
) -> list[tuple[str, bytes, Cursor | None]]:
    return [(p.name, p.stream.read(), p.cursor) for p in payloads_of(from_, since, hosts, folders)]


# ── a folder ────────────────────────────────────────────────────────────────────────────────────────


def test_only_new_and_changed_files_are_taken_again(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv", "c.txt", ".hidden.csv"):
        (tmp_path / name).write_text(name)
    watched = source("folder", path=str(tmp_path), pattern="*.csv", settle_seconds=0)
    first = taken(watched, folders=(str(tmp_path),))
    assert {name for name, _, _ in first} == {"a.csv", "b.csv"}
    cursor = first[-1][2]
    assert taken(watched, cursor, folders=(str(tmp_path),)) == []
    os.utime(tmp_path / "a.csv", (1, 1))  # touched, not changed
    (tmp_path / "b.csv").write_text("other content")
    (tmp_path / "d.csv").write_text("new")
    assert {name for name, _, _ in taken(watched, cursor, folders=(str(tmp_path),))} == {"b.csv", "d.csv"}


def test_an_interrupted_reading_goes_on_where_its_cursor_is(tmp_path: Path) -> None:
    for number, name in enumerate(("a.csv", "b.csv", "c.csv")):
        (tmp_path / name).write_text(name)
        os.utime(tmp_path / name, (1000 + number, 1000 + number))
    watched = source("folder", path=str(tmp_path))
    first = taken(watched, folders=(str(tmp_path),))
    assert [name for name, _, _ in taken(watched, first[0][2], folders=(str(tmp_path),))] == [
        "b.csv",
        "c.csv",
    ]


def test_a_file_still_growing_is_left_for_later(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x")
    watched = source("folder", path=str(tmp_path), settle_seconds=60)
    assert taken(watched, folders=(str(tmp_path),)) == []


def test_nothing_outside_the_open_folders_is_read(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    (outside / "secret.csv").write_text("secret")
    (inside / "link.csv").symlink_to(outside / "secret.csv")
    (inside / "folder").symlink_to(outside)
    watched = source("folder", path=str(inside), subfolders=True, settle_seconds=0)
    assert taken(watched, folders=(str(inside),)) == []
    for path in (str(outside), f"{inside}/../out", str(inside / "folder"), "/"):
        with pytest.raises(FolderClosed):
            taken(source("folder", path=path), folders=(str(inside),))
    with pytest.raises(FolderClosed):
        taken(watched)


def test_a_missing_folder_fails_its_check_with_what_to_do(tmp_path: Path) -> None:
    stages = list(check(source("folder", path=str(tmp_path / "no")), folders=(str(tmp_path),)))
    assert [stage.ok for stage in stages] == [True, False]
    assert stages[-1].action


# ── a web address ───────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def web() -> Iterator[Web]:
    found = Web()
    yield found
    found.close()


HERE = ("127.0.0.1",)


def test_a_file_is_fetched_once_until_it_changes(web: Web) -> None:
    web.files["/feed/a.csv"] = b"a,b\n1,2\n"
    address = source("url", url=f"{web.url}/feed/a.csv")
    [(name, data, cursor)] = taken(address, hosts=HERE)
    assert (name, data, cursor) == ("a.csv", b"a,b\n1,2\n", {"etag": '"v1"'})
    assert taken(address, cursor, hosts=HERE) == []


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0x7f000001", "2130706433"]
)
def test_loopback_is_refused_in_every_spelling(web: Web, host: str) -> None:
    with pytest.raises(NotAllowed):
        taken(source("url", url=f"http://{host}:{web.port}/"))
    assert not web.asked


def test_a_redirect_inwards_is_refused(web: Web) -> None:
    web.moved["/a"] = "http://169.254.169.254/latest/meta-data/"
    with pytest.raises(NotAllowed):
        taken(source("url", url=f"{web.url}/a"), hosts=HERE)


def test_a_redirect_to_a_file_or_in_a_circle_is_refused(web: Web) -> None:
    web.moved |= {"/a": "file:///etc/passwd", "/b": "/b"}
    for path in ("/a", "/b"):
        with pytest.raises(Turned):
            taken(source("url", url=web.url + path), hosts=HERE)


def test_a_credential_is_not_sent_where_a_redirect_leads(web: Web) -> None:
    other = Web()
    other.files["/x.csv"] = b"a\n"
    web.moved["/a"] = f"{other.url}/x.csv"
    taken(source("url", url=f"{web.url}/a", header="Auth-Key", secret="s3cret"), hosts=HERE)
    assert web.asked[0][1]["Auth-Key"] == "s3cret"
    assert "Auth-Key" not in other.asked[0][1]
    other.close()


def test_the_connection_goes_to_the_address_that_was_checked(web: Web) -> None:
    web.files["/a.csv"] = b"a\n"
    asked: list[str] = []

    def first_public_then_private(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

    config = url.Config(url=f"http://feeds.example.com:{web.port}/a.csv")
    reach = Reach(hosts=("feeds.example.com",))
    [payload] = [p.stream.read() for p in url.read(config, None, reach, first_public_then_private)]
    assert payload == b"a\n"
    assert asked == ["feeds.example.com"]
    assert web.asked[0][1]["Host"] == f"feeds.example.com:{web.port}"


def test_a_name_with_one_private_address_is_refused() -> None:
    with pytest.raises(NotAllowed):
        checked("mixed.example.com", 80, (), lambda host, port: ["93.184.216.34", "10.0.0.1"])
    assert checked("x.example.com", 80, ("10.0.0.0/8",), lambda host, port: ["10.0.0.1"]) == ["10.0.0.1"]


@pytest.mark.parametrize(
    "address",
    ["10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1", "::1", "::",
     "fe80::1", "fc00::1", "::ffff:10.0.0.1", "2002:0a00:0001::1", "64:ff9b::a00:1", "ff02::1", "198.51.100.1"],
)  # fmt: skip
def test_private_addresses_are_private_however_they_are_wrapped(address: str) -> None:
    assert not is_public(ip_address(address))


def test_public_addresses_are_public() -> None:
    assert is_public(ip_address("93.184.216.34"))
    assert is_public(ip_address("2606:2800:220:1::1"))


def test_more_than_the_limit_is_refused_as_it_comes(web: Web) -> None:
    web.files["/a"] = b"x" * 3_000_000
    with pytest.raises(TooMuch):
        taken(source("url", url=f"{web.url}/a", size_limit=1_000_000), hosts=HERE)


def test_a_slow_answer_runs_out_of_time(web: Web) -> None:
    web.files["/a"] = b"x" * 3_000_000
    web.slow.add("/a")
    with pytest.raises(TooSlow):
        taken(source("url", url=f"{web.url}/a", time_limit=0.2), hosts=HERE)


def test_what_goes_wrong_names_neither_query_nor_secret(web: Web) -> None:
    with pytest.raises(Turned) as raised:
        taken(source("url", url=f"{web.url}/no?key=s3cret"), hosts=HERE)
    assert "s3cret" not in str(raised.value)
    for wrong in ("ftp://example.com/x", "http://user:s3cret@example.com/x", "nothing"):
        with pytest.raises(NotConfigured) as refused:
            taken(source("url", url=wrong))
        assert "s3cret" not in str(refused.value)


# ── samples and pasted text ─────────────────────────────────────────────────────────────────────────


def test_pasted_text_is_new_once() -> None:
    [(_, data, cursor)] = taken(source("paste", text="é,1"))
    assert data == "é,1".encode()
    assert taken(source("paste", text="é,1"), cursor) == []


@pytest.mark.parametrize("sample", samples(), ids=lambda each: each.name)
def test_a_sample_is_what_it_says_and_holds_documentation_values_only(sample: Any) -> None:
    [(name, data, _)] = taken(source("sample", sample=sample.name))
    assert sniff(io.BytesIO(data), name).format == sample.format
    found = read(data, name=name)
    assert found.rows
    assert bool(found.faults) == (sample.format == "csv")
    for word in ("google", "microsoft", "evil.com"):
        assert word.encode() not in data


def test_the_messy_sample_loses_no_line() -> None:
    [(name, data, _)] = taken(source("sample", sample="indicators"))
    found = read(data, name=name)
    text = data.decode("utf-8-sig").splitlines()
    spread = sum(raw.count(b"\n") for raw in found.raws)
    left_out = sum(line.startswith("#") or not line.strip() for line in text)
    assert len(found.rows) + spread + len(found.faults) + left_out + 1 == len(text)
