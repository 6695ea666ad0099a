"""What a file may not do to us: the limits of hostile input, and the errors that name the place."""

from __future__ import annotations

from engine.errors import Stop

OBJECT_BYTES = 1 << 24  # DuckDB's own limit for one JSON object
NESTING = 200
FIELDS = 2000
EXPANDED_BYTES = 1 << 38
EXPANSION = 300
EXPANSION_FREE = 1 << 26  # below this size any ratio is harmless
KEPT_OF_A_FAULT = 1 << 16
SPOOLED_BYTES = 1 << 31


class Damaged(Stop):
    """The file is damaged and cannot be read any further."""


class Refused(Stop):
    """The file asks for more than it may, so it was not read."""


class Locked(Stop):
    """The archive is encrypted. Unpack it first and load its contents."""


class Unknown(Stop):
    """No format we read fits this file."""
