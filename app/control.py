"""The control plane, opened: its database, the installation's keys, and the root key that wraps all others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from app.settings import Settings
from engine.errors import Stop
from storage.audit import Event, Level, written
from storage.control import control_audit, tenants
from storage.control.database import Database, open_database
from storage.control.installation import Installation, open_installation
from storage.kek import Kek, Passphrase, create_key_file, load_key_file


class PassphraseMissing(Stop):
    """The file with the root passphrase can't be read."""


class RootKeyMissing(Stop):
    """The root key file is gone, and this data folder's keys were wrapped with it."""


@dataclass(frozen=True)
class Unlocked:
    """A tenant's key, known to be right, its check value, and how much the tenant writes down."""

    key: bytes
    check: bytes
    audit_level: Level


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, repr=False)
class Control:
    """What gateway and command line need of the control plane. `now` is the clock."""

    settings: Settings
    database: Database
    kek: Kek
    keys: Installation
    now: Callable[[], datetime] = _now

    def unlock(self, tenant: str) -> Unlocked:
        """What the tenant's worker needs. Errors: NoSuchTenant, TenantErased, WrongRootKey, DamagedKey."""
        with self.database.read() as session:
            key, check = tenants.unlock(session, self.kek, tenant)
            return Unlocked(key, check, tenants.tenant(session, tenant).audit_level)

    def record(self, event: Event, tenant: str = "") -> None:
        """Write an event to the control plane's audit chain, if the configured level says so."""
        if written(self.settings.audit_level, event.kind, event.outcome):
            with self.database.write() as session:
                control_audit.record(session, self.keys, event, self.now(), tenant)

    def close(self) -> None:
        """Let go of the database."""
        self.database.close()


def open_root_key(settings: Settings) -> Kek:
    """The root key the settings name; a key file is made at the first start. Errors: those of `storage.kek`."""
    if settings.passphrase_file is not None and settings.kek == "passphrase":
        try:
            text = settings.passphrase_file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise PassphraseMissing(str(settings.passphrase_file), action=str(error)) from None
        return Passphrase(text)
    if settings.key_file.exists():
        return load_key_file(settings.key_file, data=settings.data_dir)
    if (settings.data_dir / "tenants").exists():
        raise RootKeyMissing(str(settings.key_file), action="Put it back from its backup.")
    return create_key_file(settings.key_file, data=settings.data_dir)


def open_control(settings: Settings, now: Callable[[], datetime] = _now) -> Control:
    """Open the control plane, making data folder, root key and tables at the first start.

    Errors: those of the root key, the database's, and WrongRootKey before anything is changed.
    """
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    kek = open_root_key(settings)
    database = open_database(settings.control_url)
    try:
        with database.write() as session:
            keys = open_installation(session, kek, now())
    except Stop:
        database.close()
        raise
    return Control(settings, database, kek, keys, now)
