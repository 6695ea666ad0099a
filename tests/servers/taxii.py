"""Medallion, OASIS's own TAXII server, on a loopback port: 3.0.0 speaks TAXII 2.1, 1.1.0 speaks 2.0."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from werkzeug.security import generate_password_hash

from tests.servers.process import Running, Unavailable, free_port, launch

ROOT = Path(__file__).resolve().parents[2]
OLD = ROOT / ".cache" / "medallion-1.1.0"
ACCOUNT, PASSWORD, KEY = "analyst", "s3cret-of-taxii", "key-of-taxii"
COLLECTION = "91a7b528-80eb-42ed-a74d-c6fbd5a26116"
LOCKED = "52892447-4d7e-4f70-b94d-d7f22742ff63"
INBOX = "6f1c5f0a-1d4b-4b39-9c0d-1a2b3c4d5e6f"
DROP = "0b7f2a64-8d3e-4c5f-8a90-6e5d4c3b2a10"
# So small that a few objects make several parts.
ROOM = 12_000
# Its memory backend is quadratic in the objects of a collection.
OBJECTS = 130
# So many objects share each time of adding, and a page holds fewer.
TOGETHER = 25
PAGE = 20


@dataclass(frozen=True)
class Taxii:
    """A running server: the address of its discovery document, its version, and all it holds."""

    url: str
    version: str
    objects: list[dict[str, Any]]

    @property
    def inbox(self) -> str:
        """The address of an API root that can be published to."""
        return f"{self.url.rsplit('/', 2)[0]}/inbox/"


def objects_from(data: Path) -> list[dict[str, Any]]:
    """The objects a server is filled with."""
    bundle = json.loads((data / "attack-stix-data" / "ics-attack-18.1.json").read_text())
    found: list[dict[str, Any]] = bundle["objects"][:OBJECTS]
    return found


def start(folder: Path, version: str, objects: list[dict[str, Any]]) -> Running:
    """Start a server of a version of TAXII that holds these objects in one collection, and one locked one."""
    if importlib.util.find_spec("medallion") is None:
        raise Unavailable("the wheel medallion is not installed")
    if version == "2.0" and not OLD.is_dir():
        raise Unavailable("medallion 1.1.0 is not unpacked")
    port = free_port()
    home = f"http://127.0.0.1:{port}"
    (folder / "data.json").write_text(json.dumps(_data(home, version, objects)))
    (folder / "config.json").write_text(json.dumps(_config(folder, version)))
    discovery = f"{home}/taxii2/" if version == "2.1" else f"{home}/taxii/"

    def ready() -> None:
        httpx.get(discovery, timeout=2)

    pid = launch(
        [sys.executable, "-m", "medallion.scripts.run", "--port", str(port), folder / "config.json"],
        folder,
        ready=ready,
        env={"PYTHONPATH": os.pathsep.join([str(OLD)] if version == "2.0" else [])},
        root=True,
    )
    return Running(discovery, pid, str(folder))


def _config(folder: Path, version: str) -> dict[str, Any]:
    data, taxii = str(folder / "data.json"), {"max_page_size": PAGE}
    if version == "2.1":
        backend = {
            "module": "medallion.backends.memory_backend",
            "module_class": "MemoryBackend",
            "filename": data,
        }
        return {"backend": backend, "users": {ACCOUNT: PASSWORD}, "taxii": taxii}
    return {
        "backend": {
            "module": "medallion.backends.taxii.memory_backend",
            "module_class": "MemoryBackend",
            "filename": data,
        },
        "auth": {
            "module": "medallion.backends.auth.memory_auth",
            "module_class": "AuthMemoryBackend",
            "users": {ACCOUNT: generate_password_hash(PASSWORD, method="pbkdf2:sha256:1000")},
            "api_keys": {KEY: ACCOUNT},
        },
        "multi-auth": ["basic", "api_key"],
        "taxii": taxii,
    }


def _data(home: str, version: str, objects: list[dict[str, Any]]) -> dict[str, Any]:
    stix = f"application/stix+json;version={version}"
    manifest = [
        {"id": each["id"], "date_added": added(place), "media_type": stix, "media_types": [stix]}
        | {"version": each.get("modified", each.get("created"))}
        | {"versions": [each.get("modified", each.get("created"))]}
        for place, each in enumerate(objects)
    ]
    open_one = {"id": COLLECTION, "title": "ATT&CK for ICS", "can_read": True, "can_write": True}
    locked = {"id": LOCKED, "title": "Members only", "can_read": False, "can_write": False}
    inbox = {"id": INBOX, "title": "Inbox", "can_read": True, "can_write": True}
    drop = {"id": DROP, "title": "Drop", "can_read": False, "can_write": True}
    return {
        "/discovery": {"title": "A server", "default": f"{home}/root/", "api_roots": [f"{home}/root/"]},
        "root": {
            "information": {
                "title": "Root",
                "versions": [f"application/taxii+json;version={version}"],
                "max_content_length": 9765625,
            },
            "status": [],
            "collections": [
                {**open_one, "media_types": [stix], "objects": objects, "manifest": manifest},
                {**locked, "media_types": [stix], "objects": [], "manifest": []},
            ],
        },
        # Not named by the discovery document, so that what tests hand in here is in nobody's way.
        "inbox": {
            "information": {
                "title": "Inbox",
                "versions": [f"application/taxii+json;version={version}"],
                "max_content_length": ROOM,
            },
            "status": [],
            "collections": [
                {**each, "media_types": [stix], "objects": [], "manifest": []} for each in (inbox, drop)
            ],
        },
    }


def added(place: int) -> str:
    """When the object in a place was added."""
    minutes = place // TOGETHER
    return f"2026-01-01T{minutes // 60:02d}:{minutes % 60:02d}:00.000000Z"
