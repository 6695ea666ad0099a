"""What was read already, remembered as one short mark for each thing, so that a cursor of many thousand stays small."""

from __future__ import annotations

import base64
import hashlib

import numpy as np


def mark(text: bytes) -> int:
    """The first 64 bits of the text's SHA-256."""
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "little")


def packed(marks: set[int]) -> str:
    """Marks as a cursor carries them."""
    return base64.b64encode(np.array(sorted(marks), "<u8").tobytes()).decode()


def unpacked(text: object) -> set[int]:
    """The marks a cursor carries; none where it carries nothing."""
    return set(np.frombuffer(base64.b64decode(str(text or "")), "<u8").tolist())
