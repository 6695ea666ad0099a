"""mmisp, a MISP server in Python, on a loopback port: real accounts, keys, permissions and pages.

It heeds few of the search's filters and keeps no attributes that come with an event, so filters and edits are tested
elsewhere, on a small server that keeps what MISP publishes of its interface.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.servers.process import Running, Unavailable, free_port, launch

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / ".cache" / "mmisp-0.10.2"
KEY = "spir" + "0" * 32 + "test"
# A key of an account that may do nothing but read.
READING = "read" + "1" * 32 + "only"
EVENTS = 12

# Runs in the server's own environment: its accounts are made by its own models.
_SEED = """
import asyncio, json, sys
import mmisp.db.all_models
from mmisp.commandline_tool.setup import setup
from mmisp.db.database import sessionmanager
from mmisp.db.models.auth_key import AuthKey
from mmisp.db.models.organisation import Organisation
from mmisp.db.models.role import Role
from mmisp.db.models.user import User
from mmisp.db.models.user_setting import UserSetting
from mmisp.util.crypto import hash_secret
from sqlalchemy.future import select

async def main(accounts):
    sessionmanager.init()
    await sessionmanager.create_all()
    async with sessionmanager.session() as session:
        await setup(session)
        own = Organisation(name="TEST", description="", type="", nationality="", sector="", created_by=0, contacts="",
                           local=True, landingpage="", restricted_to_domain=[])
        session.add(own)
        await session.flush()
        for name, (key, wanted) in accounts.items():
            role = (await session.execute(select(Role).where(Role.name == wanted))).scalar_one()
            user = User(email=f"{name}@misp.test", password=hash_secret("not-used"), org_id=own.id, role_id=role.id,
                        change_pw=False)
            session.add(user)
            await session.flush()
            session.add(UserSetting(user_id=user.id, setting="user_name", value=json.dumps({"name": name})))
            session.add(AuthKey(authkey=hash_secret(key), authkey_start=key[:4], authkey_end=key[-4:], user_id=user.id,
                                expiration=0, read_only=False))
        await session.commit()
    await sessionmanager.close()

asyncio.run(main(json.loads(sys.argv[1])))
"""


@dataclass(frozen=True)
class Misp:
    """A running server, the key of an account that may write, and the uuids of what it holds from the start."""

    url: str
    key: str
    events: tuple[str, ...]


def uuid_of(number: int) -> str:
    return f"{number:08d}-1111-4111-8111-111111111111"


def start(folder: Path) -> Running:
    """Start a server with two accounts and `EVENTS` events, every third of them published."""
    if not (PLACE / "whole").is_file():
        raise Unavailable("mmisp is not installed: tests/setup/misp.sh does that")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    env = {
        "DATABASE_URL": f"sqlite+aiosqlite:///{folder}/misp.db",
        "HASH_SECRET": "of-the-tests",
        # It hands work to workers, of which there are none: nobody listens there.
        "WORKER_URL": "http://127.0.0.1:1",
        "WORKER_KEY": "none",
    }
    accounts = {"admin": (KEY, "site_admin"), "reader": (READING, "read_only")}
    command = [str(PLACE / "bin" / "python"), "-c", _SEED, json.dumps(accounts)]
    done = subprocess.run(
        command, check=False, cwd=folder, env=env, capture_output=True, text=True, timeout=120
    )
    if done.returncode:
        raise RuntimeError(f"mmisp could not be set up: {done.stderr[-2000:]}")

    def ready() -> None:
        httpx.get(f"{url}/servers/getVersion", timeout=2)

    program = [PLACE / "bin" / "python", "-m", "uvicorn", "mmisp.api.main:app", "--port", str(port)]
    pid = launch([*program, "--log-level", "warning"], folder, ready=ready, env=env, seconds=120, root=True)
    headers = {"authorization": KEY, "accept": "application/json"}
    with httpx.Client(base_url=url, headers=headers, timeout=30) as client:
        for number in range(EVENTS):
            told = {
                "uuid": uuid_of(number),
                "info": f"Event {number}",
                "distribution": 0,
                "published": number % 3 == 0,
            }
            client.post("/events/add", json=told).raise_for_status()
    return Running(url, pid, str(folder))


def running(url: str) -> Misp:
    """What is at the address of a server that `start` started."""
    return Misp(url, KEY, tuple(uuid_of(number) for number in range(EVENTS)))
