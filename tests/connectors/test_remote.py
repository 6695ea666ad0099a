"""Remote files come once, whole and in order, from real servers; what changes while it is read is not taken."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3
import pytest
from pydantic import ValidationError

from connectors import check, payloads_of, remote, web_folder
from connectors import s3 as s3_connector
from connectors.addresses import resolve
from connectors.places import s3 as bucket_at
from connectors.places.sftp import NoFolder, Turned, UnknownHost
from connectors.registry import Reach
from connectors.remote import Changed, File, Pattern, TooManyFiles
from connectors.sftp import Config as SftpConfig
from connectors.web import Turned as WebTurned
from engine.errors import Stop
from engine.model import Source
from engine.ports import Cursor
from tests.connectors.web import Web
from tests.servers import s3, sftp

HERE = ("127.0.0.1",)
OLD = 1_600_000_000


def source(connector: str, config: dict[str, Any]) -> Source:
    return Source(id="f", name="f", connector=connector, config=config)


def taken(from_: Source, since: Cursor | None = None) -> list[tuple[str, bytes, Cursor | None]]:
    return [(p.name, p.stream.read(), p.cursor) for p in payloads_of(from_, since, HERE)]


def names(from_: Source, since: Cursor | None = None) -> list[str]:
    return [name for name, _, _ in taken(from_, since)]


# ── patterns ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("pattern", "path", "wanted"),
    [
        ("*", "a.csv", True), ("*", "x/a.csv", False), ("*.csv", "a.json", False), ("**/*.csv", "a.csv", True),
        ("**/*.csv", "x/y/a.csv", True), ("x/**", "x/y/z", True), ("x/**", "y/z", False), ("*/[ab].csv", "x/a.csv", True),
        ("2026-*/*.gz", "2026-01/a.gz", True), ("2026-*/*.gz", "2025-01/a.gz", False), ("**/x/*", "a/b/x/c", True),
        ("*", ".hidden", False), ("**", "x/.hidden", False),
    ],
)  # fmt: skip
def test_a_pattern_says_which_paths_are_wanted(pattern: str, path: str, wanted: bool) -> None:
    assert Pattern(pattern).wants(path) == wanted


def test_only_folders_that_may_hold_wanted_files_are_entered() -> None:
    pattern = Pattern("a/*/2026/*.csv")
    assert [f for f in ("a", "b", "a/x", "a/x/2026", "a/x/2025", "a/x/2026/y") if pattern.enters(f)] == [
        "a", "a/x", "a/x/2026"
    ]  # fmt: skip
    assert (pattern.begin, Pattern("**/x").begin, Pattern("a/b/c.csv").begin) == ("a", "", "a/b")


def test_a_hostile_pattern_costs_nothing() -> None:
    pattern = Pattern("/".join(["**", "*a*a*a*a*a*a*b"] * 30))
    assert not pattern.wants("/".join(["a" * 60] * 60))


# ── the same at every place ──────────────────────────────────────────────────────────────────────────


class Shelf:
    """A place of each kind with the same way to put files there."""

    def __init__(self, connector: str, config: dict[str, Any], put: Any, remove: Any) -> None:
        self.config, self.put, self.remove = config, put, remove
        self.connector = connector

    def source(self, **config: Any) -> Source:
        return source(self.connector, {**self.config, **config})


@pytest.fixture
def sftp_server(tmp_path: Path) -> Iterator[sftp.Server]:
    folder = tmp_path / "sftp"
    folder.mkdir()
    server = sftp.Server(folder)
    yield server
    server.close()


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    found = Web()
    yield found
    found.close()


@pytest.fixture(scope="session")
def storage(s3_url: str) -> Any:
    return boto3.client(
        "s3", endpoint_url=s3_url, region_name="us-east-1", aws_access_key_id=s3.KEY_ID, aws_secret_access_key=s3.SECRET
    )  # fmt: skip


@pytest.fixture(params=["sftp", "s3", "web_folder"])
def shelf(request: pytest.FixtureRequest, sftp_server: sftp.Server) -> Shelf:
    if request.param == "sftp":
        return sftp_shelf(sftp_server)
    if request.param == "s3":
        return s3_shelf(request)
    return web_shelf(request.getfixturevalue("web"))


def sftp_shelf(server: sftp.Server) -> Shelf:
    def put(path: str, data: bytes, at: int) -> None:
        place = server.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        os.utime(place, (at, at))

    config = {
        "host": "127.0.0.1", "port": server.port, "username": sftp.ACCOUNT, "password": sftp.PASSWORD,
        "host_key": [server.fingerprint],
    }  # fmt: skip
    return Shelf("sftp", config, put, lambda path: (server.folder / path).unlink())


def s3_shelf(request: pytest.FixtureRequest) -> Shelf:
    storage, url = request.getfixturevalue("storage"), request.getfixturevalue("s3_url")
    bucket = f"shelf-{len(storage.list_buckets()['Buckets'])}"
    storage.create_bucket(Bucket=bucket)

    def put(path: str, data: bytes, at: int) -> None:
        storage.put_object(Bucket=bucket, Key=f"in/{path}", Body=data)

    config = {"bucket": bucket, "folder": "in/", "endpoint": url, "key_id": s3.KEY_ID, "secret": s3.SECRET}
    return Shelf("s3", config, put, lambda path: storage.delete_object(Bucket=bucket, Key=f"in/{path}"))


def web_shelf(web: Web) -> Shelf:
    held: dict[str, int] = {}

    def listing() -> None:
        folders: dict[str, list[str]] = {"": []}
        for path in held:
            parts = path.split("/")
            for depth in range(len(parts)):
                folder = "".join(f"{p}/" for p in parts[:depth])
                entry = parts[depth] + ("/" if depth < len(parts) - 1 else "")
                folders.setdefault(folder, [])
                if entry not in folders[folder]:
                    folders[folder].append(entry)
        for folder, entries in folders.items():
            links = "".join(
                f'<a href="{quote(entry)}">{entry}</a> 12-Jan-2026 10:00  12\n' for entry in entries
            )
            page = f'<html><body><a href="../">..</a><a href="?C=M">sort</a>{links}</body></html>'
            web.files[f"/in/{folder}"] = page.encode()

    def put(path: str, data: bytes, at: int) -> None:
        held[path] = at
        web.files[f"/in/{quote(path)}"] = data
        web.tags[f"/in/{quote(path)}"] = f'"{at}-{len(data)}"'
        listing()

    def remove(path: str) -> None:
        del held[path], web.files[f"/in/{quote(path)}"]
        listing()

    listing()
    return Shelf("web_folder", {"url": f"{web.url}/in/"}, put, remove)


def test_new_and_changed_files_come_once_and_from_every_cursor_the_rest(shelf: Shelf) -> None:
    for number, name in enumerate(("b.csv", "a.csv", "c.csv", "note.txt", ".hidden.csv")):
        shelf.put(name, name.encode(), OLD + number)
    chosen = shelf.source(pattern="*.csv")
    first = taken(chosen)
    assert {(name, data) for name, data, _ in first} == {(n, n.encode()) for n in ("a.csv", "b.csv", "c.csv")}
    order = [name for name, _, _ in first]
    assert names(chosen) == order
    for number, (_, _, cursor) in enumerate(first):
        assert names(chosen, cursor) == order[number + 1 :]
    shelf.put("a.csv", b"changed", OLD + 10)
    shelf.put("d.csv", b"new", OLD - 10)
    again = taken(chosen, first[-1][2])
    assert {name for name, _, _ in again} == {"a.csv", "d.csv"}
    assert names(chosen, again[-1][2]) == []


def test_what_left_is_forgotten_and_comes_again_when_it_is_back(shelf: Shelf) -> None:
    shelf.put("a.csv", b"1", OLD)
    shelf.put("b.csv", b"2", OLD)
    cursor = taken(shelf.source())[-1][2]
    shelf.remove("a.csv")
    shelf.put("c.csv", b"3", OLD)
    [(_, _, after)] = taken(shelf.source(), cursor)
    assert after is not None
    assert after["files"] == 2


def test_folders_below_are_looked_into_where_the_pattern_says_so(shelf: Shelf) -> None:
    for path in ("top.csv", "2026-01/a.csv", "2026-02/b c#.csv", "2025-12/old.csv", "2026-01/deep/x.csv"):
        shelf.put(path, path.encode(), OLD)
    assert sorted(names(shelf.source(pattern="2026-*/*.csv"))) == ["2026-01/a.csv", "2026-02/b c#.csv"]
    assert len(names(shelf.source(pattern="**/*.csv"))) == 5
    assert names(shelf.source(pattern="2026-01/deep/*")) == ["2026-01/deep/x.csv"]


def test_a_file_that_changes_while_it_is_read_ends_the_run_before_it_is_taken(shelf: Shelf) -> None:
    shelf.put("a.csv", b"first", OLD)
    shelf.put("b.csv", b"x" * 3_000_000, OLD + 1)
    payloads = payloads_of(shelf.source(), None, HERE)
    first = next(payloads)
    assert first.stream.read() == b"first"
    second = next(payloads)
    second.stream.read(1000)
    shelf.put("b.csv", b"y" * 3_000_000, OLD + 2)
    with pytest.raises(Changed) as raised:
        second.stream.read()
    assert "b.csv" in str(raised.value)
    assert names(shelf.source(), first.cursor) == ["b.csv"]


def test_a_check_goes_from_the_name_to_the_first_file(shelf: Shelf) -> None:
    shelf.put("a.csv", b"1,2", OLD)
    stages = list(check(shelf.source(), HERE))
    assert [stage.name for stage in stages][-2:] == ["files", "first file"]
    assert all(stage.ok for stage in stages)
    nothing = list(check(shelf.source(pattern="*.xml"), HERE))[-1]
    assert (nothing.name, nothing.ok) == ("files", False)
    assert nothing.action
    private = list(check(shelf.source()))[-1]
    assert (private.name, private.ok) == ("name", False)


def test_more_files_than_can_be_watched_are_refused(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        shelf.put(f"{number}.csv", b"1", OLD)
    for module in (remote, web_folder):
        monkeypatch.setattr(module, "MOST_FILES", 3)
    with pytest.raises((TooManyFiles, web_folder.TooMany)):
        taken(shelf.source())


# ── SFTP ─────────────────────────────────────────────────────────────────────────────────────────────


def test_nothing_is_sent_to_a_server_whose_key_was_not_accepted(sftp_server: sftp.Server) -> None:
    shelf = sftp_shelf(sftp_server)
    for keys in ([], ["SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]):
        last = list(check(shelf.source(host_key=keys), HERE))[-1]
        assert (last.name, last.ok) == ("host key", False)
        assert sftp_server.fingerprint in last.detail
        assert last.accept == ("host_key", sftp_server.fingerprint)
        assert ("stand between" in last.action) == bool(keys)
        with pytest.raises(UnknownHost):
            taken(shelf.source(host_key=keys))
    assert sftp_server.signed_in == 0
    with pytest.raises(ValidationError):
        SftpConfig.model_validate({**shelf.config, "host_key": ["aa:bb:cc"]})


def test_a_private_key_signs_in_and_a_wrong_one_says_so(sftp_server: sftp.Server) -> None:
    shelf = sftp_shelf(sftp_server)
    shelf.put("a.csv", b"1", OLD)
    assert names(shelf.source(password="", key=sftp_server.key)) == ["a.csv"]
    for wrong in ({"password": "wr0ng"}, {"key": sftp._made()}, {"key": "no key at all"}):
        with pytest.raises(Turned) as raised:
            taken(shelf.source(**wrong))
        assert "wr0ng" not in str(raised.value)


def test_links_and_files_still_being_written_are_left(sftp_server: sftp.Server) -> None:
    shelf = sftp_shelf(sftp_server)
    shelf.put("a.csv", b"1", OLD)
    (sftp_server.folder / "fresh.csv").write_bytes(b"half of it")
    (sftp_server.folder / "link.csv").symlink_to("/etc/passwd")
    (sftp_server.folder / "around").symlink_to(sftp_server.folder)
    assert names(shelf.source(pattern="**", settle_seconds=600)) == ["a.csv"]
    with pytest.raises(NoFolder):
        taken(shelf.source(path="nowhere"))


def test_a_file_shorter_than_it_was_listed_is_not_taken_for_whole(sftp_server: sftp.Server) -> None:
    shelf = sftp_shelf(sftp_server)
    shelf.put("a.csv", b"x" * 200_000, OLD)
    payload = next(payloads := payloads_of(shelf.source(), None, HERE))
    os.truncate(sftp_server.folder / "a.csv", 100_000)
    with pytest.raises(Changed):
        payload.stream.read()
    payloads.close()


# ── S3 ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_bucket_that_is_not_there_is_named(request: pytest.FixtureRequest) -> None:
    shelf = s3_shelf(request)
    last = list(check(shelf.source(bucket="no-such-bucket"), HERE))[-1]
    assert (last.name, last.ok) == ("sign-in", False)
    assert "no such bucket" in last.detail


def test_pages_of_a_long_list_are_followed(request: pytest.FixtureRequest, storage: Any) -> None:
    shelf = s3_shelf(request)
    for number in range(7):
        shelf.put(f"{number}.csv", b"1", OLD)
    config = s3_connector.Config.model_validate(shelf.config)
    with bucket_at.connected(config, Reach(HERE), resolve) as bucket:
        asked: list[int] = []
        whole = bucket.page

        def small(begin: str, mark: str, most: int) -> dict[str, Any]:
            asked.append(1)
            return whole(begin, mark, 3)

        object.__setattr__(bucket, "page", small)
        assert len(list(bucket.files(Pattern("*")))) == 7
    assert len(asked) == 3


def test_the_bucket_is_asked_at_the_address_that_was_checked(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = s3_shelf(request)
    shelf.put("a.csv", b"1", OLD)
    port = shelf.config["endpoint"].rpartition(":")[2]
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    asked: list[str] = []

    def once(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if asked.count(host) == 1 else ["203.0.113.9"]

    host = "s3.eu-central-1.amazonaws.com"
    reach = Reach((host, f"{shelf.config['bucket']}.{host}"))
    for style, name in ((True, host), (False, f"{shelf.config['bucket']}.{host}")):
        asked.clear()
        config = s3_connector.Config.model_validate(
            {**shelf.config, "endpoint": f"http://{host}:{port}", "path_style": style}
        )
        assert [p.stream.read() for p in s3_connector.read(config, None, reach, once)] == [b"1"]
        assert name in asked
        assert len(asked) == len(set(asked))


# ── a web folder ─────────────────────────────────────────────────────────────────────────────────────


def test_a_text_file_lists_files_and_one_at_another_host_is_not_asked(web: Web) -> None:
    web.files |= {"/l/a.csv": b"1", "/l/b.csv": b"2", "/l/list.txt": b"# feeds\na.csv\n\nb.csv\n"}
    listed = source("web_folder", {"url": f"{web.url}/l/list.txt"})
    assert names(listed) == ["a.csv", "b.csv"]
    web.files["/l/list.txt"] = b"a.csv\nhttp://203.0.113.7/b.csv\n"
    with pytest.raises(WebTurned) as raised:
        taken(listed)
    assert "203.0.113.7" in raised.value.action


def test_links_that_lead_elsewhere_are_not_followed(web: Web) -> None:
    web.files["/l/"] = (
        b'<html><a href="a.csv">a</a><a href="/other/b.csv">b</a><a href="../c.csv">c</a><a href="%2e%2e/d.csv">d</a>'
        b'<a href="http://203.0.113.7/e.csv">e</a><a href="f.csv?x=1">f</a><a href="mailto:x@example.com">m</a></html>'
    )
    web.files["/l/a.csv"] = b"1"
    assert names(source("web_folder", {"url": f"{web.url}/l/", "pattern": "**"})) == ["a.csv"]


def test_a_page_is_read_to_its_end_however_it_is_made_and_one_of_too_many_links_is_refused(web: Web) -> None:
    folder = source("web_folder", {"url": f"{web.url}/l/", "pattern": "**"})
    last = '<a href="é.csv">x</a>'
    web.files["/l/%C3%A9.csv"] = b"1"
    attributes = " ".join(f'a{n}=""' for n in range(20_000))
    for page in (
        f"<html>{'<div>' * 5_000}{last}",
        f"<html><p {attributes}>{last}",
        f'<html><a href="{"x" * 1_000_000}">y</a>{last}',
        f"<html>{chr(0)}<a {last}</b></html><a>",
    ):
        web.files["/l/"] = page.encode()
        assert names(folder) == ["é.csv"]
    web.files["/l/"] = b"<html>" + b"<a href=a.csv>" * (web_folder.MOST_LINKS + 1)
    with pytest.raises(web_folder.TooMany, match="more than 100,000 links"):
        taken(folder)


def test_unchanged_files_are_asked_for_their_headers_alone(web: Web) -> None:
    shelf = web_shelf(web)
    shelf.put("a.csv", b"1", OLD)
    cursor = taken(shelf.source())[-1][2]
    web.asked.clear()
    assert taken(shelf.source(), cursor) == []
    assert [(method, path) for method, path in zip(web.methods[-2:], [p for p, _ in web.asked], strict=True)] == [
        ("GET", "/in/"), ("HEAD", "/in/a.csv")
    ]  # fmt: skip


def test_an_account_signs_in_at_its_own_host_only(web: Web) -> None:
    shelf, other = web_shelf(web), Web()
    shelf.put("a.csv", b"1", OLD)
    web.moved["/in/a.csv"] = f"{other.url}/a.csv"
    other.files["/a.csv"] = b"elsewhere"
    signed = shelf.source(username="u", secret="s3cret")
    assert [data for _, data, _ in taken(signed)] == [b"elsewhere"]
    assert all("Authorization" in headers for _, headers in web.asked)
    assert not any("Authorization" in headers for _, headers in other.asked)
    other.close()


# ── order ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_file_is_what_its_place_says_of_it() -> None:
    class Place:
        def files(self, pattern: Pattern) -> list[File]:
            return [File("b", 1, "1", 2.0), File("a", 1, "1", 2.0), File("c", 1, "1", 1.0)]

    assert [file.path for file in remote.wanted(Place(), Pattern("*"))] == ["c", "a", "b"]  # type: ignore[arg-type]
    assert issubclass(TooManyFiles, Stop)
