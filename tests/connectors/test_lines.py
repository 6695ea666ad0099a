"""Bytes are found in a block whatever kind of buffer it is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.formats.lines import holds

PIECES = st.lists(st.sampled_from([b"a", b"ab", b"\0", b"needle", b"need", b"le", b"\xff"]), max_size=30)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
@given(PIECES)
def test_what_stands_in_a_block_is_found_and_nothing_else(
    kind: Callable[[bytes], bytes], pieces: list[bytes]
) -> None:
    data = b"".join(pieces)
    for what in (b"needle", b"\0a", b"\xff"):
        assert holds(kind(data), what) == (what in data)
