"""Manifests: small sealed descriptions that stand beside payloads, whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from storage.disk import private, sync_folder
from storage.seal import Sealer, open_sealed


def write_manifest(
    path: Path, about: Mapping[str, object], key: bytes, tenant: str, run: str, number: int, purpose: str
) -> None:
    """Seal `about` as JSON into `path`, on the disk for good; what was there before stays until then."""
    new = path.with_name(path.name + ".new")
    try:
        with private(new) as file:
            with Sealer(file, key, tenant, run, number, purpose=purpose) as sealer:
                sealer.write(json.dumps(dict(about)).encode())
            # The name must not reach the disk before the bytes do.
            os.fsync(file.fileno())
        new.rename(path)
    finally:
        new.unlink(missing_ok=True)
    sync_folder(path.parent)


def read_manifest(
    path: Path, key: bytes, tenant: str, run: str, number: int, purpose: str
) -> dict[str, object]:
    """What `write_manifest` sealed for this very place. Errors: FileNotFoundError, Tampered."""
    with (
        path.open("rb", buffering=0) as file,
        open_sealed(file, key, tenant, run, number, purpose=purpose) as reader,
    ):
        about: dict[str, object] = json.loads(reader.read())
    return about
