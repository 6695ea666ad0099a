"""Seals: what goes in comes out, from any place; what was touched does not come out at all."""

from __future__ import annotations

import hashlib
import io
import os
import random
import resource
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import Bug
from storage.seal import CHUNK, Sealer, Tampered, open_sealed

KEY = b"s" * 32
HEADER, STORED = 40, CHUNK + 23
BORDERS = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK - 1, 2 * CHUNK, 2 * CHUNK + 1]
PLAIN = random.Random(1).randbytes(3 * CHUNK + 17)


def sealed(data: bytes, run: str = "r1", number: int = 1, tenant: str = "acme", key: bytes = KEY) -> bytes:
    sink = io.BytesIO()
    with Sealer(sink, key, tenant, run, number) as sealer:
        sealer.write(data)
    return sink.getvalue()


def opened(
    blob: bytes, run: str = "r1", number: int = 1, tenant: str = "acme", key: bytes = KEY
) -> io.BufferedReader:
    return open_sealed(io.BytesIO(blob), key, tenant, run, number)


@pytest.mark.parametrize("size", BORDERS)
def test_what_was_sealed_comes_out_at_every_size_around_a_chunk(size: int) -> None:
    blob = sealed(PLAIN[:size])
    assert opened(blob).read() == PLAIN[:size]
    assert len(blob) == HEADER + size + 23 * max(1, -(-size // CHUNK))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from([0, 1, 7, 4096, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 5]), max_size=4),
    st.booleans(),
)
def test_it_does_not_matter_in_what_pieces_the_bytes_came(pieces: list[int], again: bool) -> None:
    data, sink = io.BytesIO(PLAIN), io.BytesIO()
    with Sealer(sink, KEY, "acme", "r1", 1) as sealer:
        for piece in pieces:
            come = data.read(piece)
            buffer = bytearray(come)
            assert sealer.write(memoryview(buffer if again else come)) <= piece
            buffer[:] = bytes(len(buffer))  # whoever reads into one buffer again and again may do so
    whole = PLAIN[: sum(pieces)]
    assert opened(sink.getvalue()).read() == whole
    assert (sealer.size, sealer.sha256) == (len(whole), hashlib.sha256(whole).hexdigest())


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_place_can_be_read_in_any_order(data: st.DataObject) -> None:
    reader = opened(READ)
    for _ in range(5):
        at = data.draw(st.sampled_from(BORDERS) | st.integers(0, len(PLAIN) + 5))
        length = data.draw(st.sampled_from([0, 1, 100, CHUNK, 2 * CHUNK + 3]))
        assert reader.seek(at) == at
        assert reader.read(length) == PLAIN[at : at + length]
    assert reader.seek(-3, io.SEEK_END) == len(PLAIN) - 3
    assert reader.read() == PLAIN[-3:]


READ = sealed(PLAIN)


def test_lines_and_readinto_work_across_chunks() -> None:
    text = b"".join(b"line %d of the text\n" % i for i in range(120_000))
    assert len(text) > 2 * CHUNK
    assert list(opened(sealed(text))) == text.splitlines(keepends=True)
    buffer = bytearray(len(text) + 10)
    assert opened(sealed(text)).readinto(buffer) == len(text)
    assert buffer[: len(text)] == text


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(READ) - 1), st.integers(0, 7))
def test_one_flipped_bit_anywhere_gives_no_byte_of_its_chunk(place: int, bit: int) -> None:
    blob = bytearray(READ)
    blob[place] ^= 1 << bit
    chunk = max(0, (place - HEADER) // STORED)
    got, error = b"", None
    try:
        reader = opened(bytes(blob))
        while piece := reader.read(4096):
            got += piece
    except Tampered as caught:
        error = caught
    assert "acme" in str(error)
    assert "r1, segment 1" in str(error)
    if place >= HEADER:
        assert f"chunk {chunk}." in str(error)
        assert len(got) <= chunk * CHUNK
    assert PLAIN.startswith(got)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, len(READ) - 1) | st.sampled_from([HEADER, HEADER + STORED, HEADER + 2 * STORED]))
def test_a_cut_file_is_refused_before_anything_is_read(length: int) -> None:
    with pytest.raises(Tampered):
        opened(READ[:length])


def test_chunks_reordered_doubled_dropped_or_added_are_refused() -> None:
    head, chunks = READ[:HEADER], [READ[HEADER + i * STORED : HEADER + (i + 1) * STORED] for i in range(4)]
    for order in ([1, 0, 2, 3], [0, 0, 2, 3], [0, 2, 3], [0, 1, 2], [0, 1, 2, 3, 3], [3], []):
        with pytest.raises(Tampered):
            opened(head + b"".join(chunks[i] for i in order)).read()
    with pytest.raises(Tampered):
        opened(READ + b"\0").read()


def test_a_file_moved_to_another_tenant_run_number_or_purpose_is_refused() -> None:
    for place in ({"tenant": "globex"}, {"run": "r2"}, {"number": 2}, {"key": b"t" * 32}):
        with pytest.raises(Tampered):
            opened(READ, **place)  # type: ignore[arg-type]
    with pytest.raises(Tampered):
        open_sealed(io.BytesIO(READ), KEY, "acme", "r1", 1, purpose="manifest")


def test_places_that_read_alike_when_joined_are_different_places() -> None:
    with pytest.raises(Tampered):
        opened(sealed(b"x", tenant="ab", run="c"), tenant="a", run="bc")


def test_a_chunk_of_another_file_in_the_same_place_is_refused() -> None:
    other = sealed(PLAIN)
    with pytest.raises(Tampered, match="chunk 1"):
        opened(
            READ[: HEADER + STORED]
            + other[HEADER + STORED : HEADER + 2 * STORED]
            + READ[HEADER + 2 * STORED :]
        ).read()


def test_two_seals_of_the_same_bytes_share_nothing() -> None:
    first, second = sealed(PLAIN[:100]), sealed(PLAIN[:100])
    assert first[8:] != second[8:]
    assert first[HEADER + 7 :] != second[HEADER + 7 :]
    assert PLAIN[:16] not in first


def test_an_exception_while_sealing_leaves_something_that_does_not_open() -> None:
    sink = io.BytesIO()

    def broken() -> None:
        with Sealer(sink, KEY, "acme", "r1", 1) as sealer:
            sealer.write(PLAIN)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    with pytest.raises(Tampered):
        opened(sink.getvalue())


def test_nothing_can_be_added_to_a_closed_seal() -> None:
    sealer = Sealer(io.BytesIO(), KEY, "acme", "r1", 1)
    sealer.close()
    for action in (sealer.close, lambda: sealer.write(b"x")):
        with pytest.raises(Bug):
            action()


@pytest.mark.parametrize(
    "left", [0, 10, HEADER, HEADER + 5, HEADER + STORED, HEADER + STORED + 5, HEADER + 2 * STORED]
)
def test_a_killed_sealer_is_resumed_from_its_last_whole_chunk(left: int) -> None:
    file = io.BytesIO(READ[:left])
    sealer = Sealer.resume(file, KEY, "acme", "r1", 1)
    assert sealer.size == max(0, (left - HEADER) // STORED) * CHUNK
    sealer.write(PLAIN[sealer.size :])
    sealer.close()
    assert opened(file.getvalue()).read() == PLAIN


def test_a_chunk_written_again_after_a_crash_meets_a_nonce_of_its_own() -> None:
    torn = READ[: HEADER + STORED + 1000]
    file = io.BytesIO(torn)
    sealer = Sealer.resume(file, KEY, "acme", "r1", 1)
    sealer.write(bytes(2 * CHUNK))
    sealer.close()
    again = file.getvalue()
    assert again[: HEADER + STORED] == torn[: HEADER + STORED]
    assert again[HEADER + STORED :][:7] != torn[HEADER + STORED :][:7]


def test_a_damaged_chunk_is_not_resumed_upon() -> None:
    blob = bytearray(READ[: HEADER + 2 * STORED])
    blob[HEADER + STORED + 50] ^= 1
    assert Sealer.resume(io.BytesIO(bytes(blob)), KEY, "acme", "r1", 1).size == CHUNK


def test_memory_stays_flat_and_sealing_is_faster_than_a_disk() -> None:
    class Count(io.RawIOBase):
        size = 0

        def write(self, data: object) -> int:
            self.size += len(data)  # type: ignore[arg-type]
            return len(data)  # type: ignore[arg-type]

    piece, sink = os.urandom(CHUNK), Count()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.thread_time()
    with Sealer(sink, KEY, "acme", "r1", 1) as sealer:  # type: ignore[arg-type]
        for _ in range(256):
            sealer.write(piece)
    rate = 256 / (time.thread_time() - began)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 16 * 1024
    assert rate > 100, f"{rate:.0f} MiB/s"
