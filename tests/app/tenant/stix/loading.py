"""A tenant that reads STIX from a folder, for tests."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from app.client import Client
from app.grant import Grant
from app.tenant.api import app_on
from app.tenant.desk import Desk
from app.tenant.loading import pause
from app.tenant.open import open_desk
from app.tenant.schemas.runs import RunDetail
from storage.keyring import derive

Item = dict[str, Any]


def opened_at(folder: Path) -> Desk:
    """A tenant in a folder, as a worker opens it; again with the same key."""
    place = folder / "key"
    key = place.read_bytes() if place.exists() else os.urandom(32)
    place.write_bytes(key)
    box = folder / "box"
    box.mkdir(exist_ok=True)
    desk = open_desk(
        Grant(
            tenant="acme",
            key=key,
            check=derive(key, "acme").check,
            folder=folder / "data" / "tenants" / "acme",
            socket=folder / "s",
        )
    )
    desk.settings = desk.settings.model_copy(update={"folders": (str(box),)})
    return desk


def closed(desk: Desk) -> None:
    pause(desk)
    desk.store.close()


def asked(desk: Desk) -> Client:
    return Client.on_app(app_on(desk), user="eva", role="engineer")


def watching(client: Client, box: Path, name: str = "ATT&CK") -> str:
    """A pipeline that reads what lies in a folder."""
    made = client.create_source(
        connector="folder", config={"path": str(box), "settle_seconds": 0}, name=name
    ).source
    assert made.shape is not None
    return client.create_pipeline(name=name, source=made.id, mappings=made.shape.mappings).pipeline.id


def loaded(client: Client, pipeline: str) -> RunDetail:
    """A run of a pipeline, to its good end."""
    run = client.start_run(pipeline, wait=120)
    assert run.state == "finished", run.error
    return run


def bundle(path: Path, *objects: Item) -> None:
    path.write_text(json.dumps({"type": "bundle", "id": "bundle--1", "objects": objects}))


def exported(client: Client, target: str = "all", **more: object) -> list[Item]:
    """The objects of a bundle of everything, or of one target model."""
    found: list[Item] = json.loads(b"".join(client.export(target, "stix", **more))).get("objects", [])
    return found


def malware(number: int, **more: Any) -> Item:
    return {
        "type": "malware", "spec_version": "2.1", "id": f"malware--{number:08d}-0000-4000-8000-000000000000",
        "created": "2026-01-01T00:00:00.000Z", "modified": "2026-01-01T00:00:00.000Z", "name": f"m{number}",
        "is_family": True, **more,
    }  # fmt: skip
