"""Conservation on every public file we have: whatever the format, nothing physically there is unaccounted for."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from connectors.formats import sniff
from engine.errors import Stop
from tests.connectors.reading import read
from tests.connectors.test_delimited import accounted, physical


def test_every_line_of_every_text_of_the_corpora_is_accounted_for(shared_data: Path) -> None:
    seen = 0
    for path in sorted(shared_data.rglob("*")):
        if not path.is_file() or path.suffix not in (".txt", ".csv", ".md", ""):
            continue
        data = path.read_bytes()
        shape = sniff(io.BytesIO(data), path.name)
        if shape.format != "csv" or shape.dialect is None:
            continue
        dialect = shape.dialect
        if dialect.comment:
            lines = physical(data)
            comments = sum(line.startswith(dialect.comment.encode()) for line in lines[dialect.skip_lines :])
            blanks = sum(not line.strip() for line in lines[dialect.skip_lines :])
            found = read(data, shape)
            assert len(found.rows) + len(found.faults) + comments + blanks + dialect.header <= len(lines)
        else:
            accounted(data, read(data, shape), header=dialect.skip_lines + dialect.header)
        seen += 1
    assert seen >= 8


def test_every_file_of_the_corpora_is_read_or_refused_with_a_reason(shared_data: Path) -> None:
    refused: list[Path] = []
    read_files = 0
    for path in sorted(shared_data.rglob("*")):
        if not path.is_file() or path.stat().st_size > 1 << 20:
            continue
        data = path.read_bytes()
        try:
            found = read(data, name=path.name)
        except Stop:
            refused.append(path)
            continue
        assert len(found.rows) + len(found.faults) > 0 or not data.strip(), path
        read_files += 1
    assert read_files > 900
    # Encodings no XML parser knows, and three files that declare entities or an outside DTD.
    assert sum(path.parent.name != "encoding" for path in refused) <= 3


@pytest.mark.parametrize("name", ["sample_text_defanged.txt", "sample_text_fanged.txt"])
def test_a_text_of_indicators_gives_one_row_a_line(shared_data: Path, name: str) -> None:
    data = (shared_data / "ioc-fanger" / name).read_bytes()
    found = read(data, name=name)
    assert [row[0] for row in found.rows] == [line.decode() for line in physical(data) if line.strip()]
