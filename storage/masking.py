"""Values without the secrets in them: whatever is written down about a definition or a request goes through here."""

from __future__ import annotations

import re
from typing import Any

_SECRET_NAME = re.compile(
    r"pass(word|phrase|wd)|secret|token|credential|authori[sz]ation|cookie|private|bearer|dsn$|"
    r"(api|auth|access|account|signing|encryption|wrapped|shared)[ _-]?keys?$|^(key|pwd|pw|pass)$",
    re.IGNORECASE,
)
_SECRET_PARAMETER = re.compile(
    r"([?&;\s][\w-]*(?:pass|secret|token|key|sig|auth)[\w-]*=)[^&;\s\"']+", re.IGNORECASE
)
_USER_INFO = re.compile(r"(\w+://)[^/@\s]+@")
_BEARER = re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]{8,}", re.IGNORECASE)
MASK = "•••"


def masked(value: Any, name: str = "") -> Any:
    """The value without secrets: by the name they stand under, in URLs, and in authorisation headers."""
    if isinstance(value, dict):
        return {str(key): masked(item, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        # A target model's `key` is a list of field names; a connector's `key` is a string.
        return [masked(item, "" if name == "key" else name) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return MASK
    if isinstance(value, str | int | float) and _SECRET_NAME.search(name):
        return MASK
    if isinstance(value, int | float):
        return value
    text = str(value)
    return _BEARER.sub(
        rf"\1 {MASK}", _SECRET_PARAMETER.sub(rf"\1{MASK}", _USER_INFO.sub(rf"\1{MASK}@", text))
    )
