"""gzip, zip and zstd: contents as if unpacked, limits counted on what really comes, clear errors."""

from __future__ import annotations

import gzip
import io
import zipfile

import pytest
import zstandard

from connectors.formats import sniff
from connectors.formats.limits import Damaged, Locked, Refused, Unknown
from tests.connectors.reading import objects, read

CSV = b"ip,n\n203.0.113.1,2\n203.0.113.2\n203.0.113.3,4\n"


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress, lambda data: zipped({"a.csv": data})])
def test_a_packed_table_is_read_as_if_unpacked(pack) -> None:  # type: ignore[no-untyped-def]
    plain, packed = read(CSV), read(pack(CSV))
    assert (packed.rows, packed.places, packed.raws, packed.faults) == (
        plain.rows,
        plain.places,
        plain.raws,
        plain.faults,
    )


def test_several_members_of_gzip_and_frames_of_zstd_are_one_file() -> None:
    for pack in (gzip.compress, zstandard.compress):
        assert len(read(pack(CSV) + pack(b"203.0.113.4,5\n")).rows) == 3


def test_zip_members_of_one_shape_are_read_together_and_the_others_are_named() -> None:
    data = zipped(
        {"b.csv": CSV, "a.csv": CSV, "other.json": b'{"x":1}', "README.md": b"hi", "__MACOSX/a.csv": b"x"}
    )
    shape = sniff(io.BytesIO(data), "x.zip")
    assert shape.options["members"] == ["a.csv", "b.csv"]
    assert any("other.json" in note for note in shape.notes)
    found = read(data, shape)
    assert (len(found.rows), len(found.faults)) == (4, 2)
    assert len({*found.places, *found.reasons()}) == 6


def test_a_gzip_inside_a_zip_is_read() -> None:
    found = read(zipped({"x.ndjson.gz": gzip.compress(b'{"a":1}\n{"a":2}\n')}))
    assert objects(found) == [{"a": 1}, {"a": 2}]


def test_deeper_nesting_is_refused() -> None:
    with pytest.raises(Refused):
        sniff(io.BytesIO(gzip.compress(gzip.compress(gzip.compress(CSV)))), "x.gz")
    with pytest.raises(Refused):
        sniff(io.BytesIO(zipped({"x.zip": zipped({"a.csv": CSV})})), "x.zip")


@pytest.mark.parametrize("pack", [gzip.compress, lambda data: zipped({"a.csv": data}), zstandard.compress])
def test_a_bomb_is_refused_while_it_is_read(pack) -> None:  # type: ignore[no-untyped-def]
    bomb = pack(b"a,b\n" + b"1,2\n" * (25 << 20))
    shape = sniff(io.BytesIO(bomb), "x")
    from connectors.formats import reader

    with pytest.raises(Refused, match="times its size"):
        for _ in reader(shape).read(io.BytesIO(bomb), shape):
            pass


def test_an_encrypted_zip_says_so() -> None:
    data = bytearray(zipped({"a.csv": CSV}))
    data[data.find(b"PK\x03\x04") + 6] |= 1
    data[data.find(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(Locked):
        sniff(io.BytesIO(bytes(data)), "x.zip")


def test_a_damaged_archive_says_where() -> None:
    whole = gzip.compress(CSV * 10_000)
    with pytest.raises(Damaged):
        read(whole[: len(whole) // 2])
    with pytest.raises(Damaged):
        sniff(io.BytesIO(b"PK\x03\x04" + b"x" * 100), "x.zip")


def test_an_empty_archive_is_unknown() -> None:
    with pytest.raises(Unknown):
        sniff(io.BytesIO(zipped({})), "x.zip")
