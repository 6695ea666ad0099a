"""Uploads are sealed while they arrive, and can be taken up again."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import pytest

from app.client import Client
from app.sending import PART
from app.tenant.desk import Desk
from app.wire import MustAct, NoAnswer, NotThere


def test_an_upload_is_taken_up_where_it_broke_off(client: Client) -> None:
    from app.tenant.schemas.payloads import PayloadInfo, UploadState

    data = b"value\n" * 1000
    begun = client.post("/uploads", UploadState, {"name": "x.csv", "size": len(data)})
    client.request("PATCH", f"/uploads/{begun.upload}", content=data[:2500], headers={"upload-offset": "0"})
    reached = client.get(f"/uploads/{begun.upload}", UploadState).offset
    assert client.request("HEAD", f"/uploads/{begun.upload}").headers["upload-offset"] == str(reached)

    # The part comes again from before what was received: the bytes are compared, not doubled.
    again = {"upload-offset": str(reached - 500)}
    client.request("PATCH", f"/uploads/{begun.upload}", content=data[reached - 500 :], headers=again)
    done = client.post(f"/uploads/{begun.upload}/finish", PayloadInfo)

    assert (done.size, done.sha256) == (len(data), hashlib.sha256(data).hexdigest())


def test_a_part_that_does_not_follow_says_where_to_go_on(client: Client) -> None:
    from app.tenant.schemas.payloads import UploadState

    begun = client.post("/uploads", UploadState, {"name": "x.csv"})
    with pytest.raises(MustAct) as refused:
        client.request("PATCH", f"/uploads/{begun.upload}", content=b"late", headers={"upload-offset": "9"})
    assert "offset 0" in refused.value.action


def test_a_payload_of_several_parts_arrives_whole_and_stands_nowhere_in_the_clear(
    client: Client, desk: Desk
) -> None:
    marker = b"marker-7f3a91"
    data = (marker + b",1\n") * ((PART + 5000) // 16)
    told: list[int] = []
    done = client.upload_stream(
        io.BytesIO(data), "big.csv", size=len(data), told=lambda sent, size: told.append(sent)
    )
    assert done.size == told[-1] == len(data)
    assert len(told) == 2
    for path in Path(desk.settings.data_dir).rglob("*"):
        assert not path.is_file() or marker not in path.read_bytes()


def test_an_upload_goes_on_although_the_server_died_and_lost_its_last_piece(
    client: Client, desk: Desk
) -> None:
    data = bytes(range(256)) * ((2 * PART + 999) // 256)
    request, parts = client.request, 0

    def dying(method: str, path: str, **options: Any) -> Any:
        nonlocal parts
        if method == "PATCH":
            parts += 1
            if parts == 2:
                # What a worker's death does: the open upload is closed, its unsealed tail is gone.
                desk.landing._close(path.rsplit("/", 1)[1])
                raise NoAnswer("the worker")
        return request(method, path, **options)

    client.request = dying  # type: ignore[method-assign]
    done = client.upload_stream(io.BytesIO(data), "long.bin", size=len(data))

    assert (done.size, done.sha256) == (len(data), hashlib.sha256(data).hexdigest())


def test_what_is_larger_than_allowed_is_refused_before_it_is_sent(client: Client, desk: Desk) -> None:
    limit = int(desk.settings.upload_limit)
    with pytest.raises(MustAct, match="larger than") as refused:
        client.request("POST", "/uploads", json={"name": "x", "size": limit + 1})
    assert refused.value.status == 413


def test_an_upload_nobody_began_is_not_there(client: Client) -> None:
    with pytest.raises(NotThere):
        client.request("GET", "/uploads/u0123")
    with pytest.raises(NotThere):
        client.request("GET", "/uploads/..%2f..%2fother")
