"""Which version this is."""

from __future__ import annotations

from importlib import metadata


def installed() -> str:
    """The installed version, or 0 where we run from a bare folder."""
    try:
        return metadata.version("phantom-spire")
    except metadata.PackageNotFoundError:
        return "0"
