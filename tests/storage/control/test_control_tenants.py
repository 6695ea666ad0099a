"""Tenants: their keys open with the root key only, and erased they are gone."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from storage.audit import Level
from storage.control import api_keys, installation, people, schedules, tenants
from storage.control.database import Database, open_database
from storage.control.installation import Installation, OtherRootKey, open_installation
from storage.kek import Cost, DamagedKey, KeyFile, Passphrase, WrongRootKey
from storage.keyring import WrongTenantKey
from tests.storage.control.making import AT, HOUR, KEK, make_tenant, make_user


def test_a_tenants_key_opens_with_the_root_key_and_stands_nowhere_in_the_clear(
    database: Database, keys: Installation, plain: Engine
) -> None:
    make_tenant(database)
    with database.read() as session:
        key, check = tenants.unlock(session, KEK, "acme")
        ring = tenants.ring(session, KEK, "acme")
    assert ring.check == check
    with plain.connect() as connection:
        everything = str(connection.execute(text("SELECT * FROM tenants")).all()).encode()
    assert key.hex().encode() not in everything
    assert repr(key).encode() not in everything


def test_a_wrong_root_key_is_told_at_the_start_and_for_a_tenant(
    database: Database, keys: Installation
) -> None:
    make_tenant(database)
    wrong = KeyFile(b"w" * 32)
    with pytest.raises(OtherRootKey, match="not the one this"), database.write() as session:
        open_installation(session, wrong, AT)
    with pytest.raises(WrongRootKey, match="does not open this tenant's key"), database.read() as session:
        tenants.unlock(session, wrong, "acme")
    with pytest.raises(OtherRootKey), database.write() as session:
        tenants.create(session, wrong, "globex", "Globex", AT)


def test_a_wrapped_key_moved_to_another_tenant_does_not_open(
    database: Database, keys: Installation, plain: Engine
) -> None:
    make_tenant(database)
    make_tenant(database, "globex")
    with plain.begin() as connection:
        connection.execute(
            text(
                "UPDATE tenants SET wrapped_key = (SELECT wrapped_key FROM tenants WHERE id = 'acme') WHERE id = 'globex'"
            )
        )
    with pytest.raises(DamagedKey), database.read() as session:
        tenants.unlock(session, KEK, "globex")
    with plain.begin() as connection:
        connection.execute(
            text("UPDATE tenants SET key_check = :check WHERE id = 'acme'"), {"check": bytes(32)}
        )
    with pytest.raises(WrongTenantKey), database.read() as session:
        tenants.unlock(session, KEK, "acme")


@pytest.mark.parametrize("id", ["", "A", "1a", "a/b", "..", "a b", "a" * 64, "é", "a\n", ":installation"])
def test_an_identifier_that_could_be_a_path_is_no_tenant(database: Database, id: str) -> None:
    with pytest.raises(tenants.BadName), database.write() as session:
        tenants.create(session, KEK, id, "x", AT)


def test_changing_the_root_key_rewraps_every_key_and_touches_no_tenant_key(
    database: Database, keys: Installation
) -> None:
    for id in ("acme", "globex", "gone"):
        make_tenant(database, id)
    with database.write() as session:
        tenants.erase(session, "gone", AT)
    with database.read() as session:
        before = [tenants.unlock(session, KEK, id) for id in ("acme", "globex")]
    new = Passphrase("a new root passphrase", Cost(1, 64, 1))
    with database.write() as session:
        assert installation.rewrap(session, KEK, new) == 2
    with database.write() as session:
        assert [tenants.unlock(session, new, id) for id in ("acme", "globex")] == before
        assert open_installation(session, new, AT).pepper == keys.pepper
    with pytest.raises(WrongRootKey), database.read() as session:
        tenants.unlock(session, KEK, "acme")
    with pytest.raises(OtherRootKey):
        make_tenant(database, "late")


def test_a_root_key_change_that_fails_for_one_tenant_changes_none(
    database: Database, keys: Installation, plain: Engine
) -> None:
    make_tenant(database)
    make_tenant(database, "zz")
    with plain.begin() as connection:
        connection.execute(text("UPDATE tenants SET wrapped_key = :junk WHERE id = 'zz'"), {"junk": b"junk"})
    with pytest.raises(DamagedKey), database.write() as session:
        installation.rewrap(session, KEK, KeyFile(b"n" * 32))
    with database.write() as session:
        tenants.unlock(session, KEK, "acme")
        open_installation(session, KEK, AT)


def test_an_erased_tenant_is_gone_for_good_and_its_name_stays_taken(
    database: Database, keys: Installation
) -> None:
    make_tenant(database)
    user = make_user(database)
    with database.write() as session:
        people.grant(session, user, "acme", "engineer", AT)
        _, key = api_keys.create(session, keys, "ci", "acme", "viewer", AT)
        schedules.create(session, "acme", "p", "interval", {"seconds": 60}, AT, created_by="ada")
    with database.write() as session:
        tenants.erase(session, "acme", AT)
        tenants.erase(session, "acme", AT + HOUR)
    with database.read() as session:
        with pytest.raises(tenants.TenantErased):
            tenants.unlock(session, KEK, "acme")
        assert tenants.tenants(session) == []
        assert tenants.tenants(session, erased=True)[0].erased == AT
        assert people.role_in(session, user, "acme") is None
        assert schedules.schedules(session) == []
    assert api_keys.authenticate(database, keys, key, AT) is None
    with pytest.raises(tenants.TenantTaken):
        make_tenant(database)


def test_an_erased_key_is_in_no_file_of_the_database(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/control.db")
    make_tenant(database)
    with database.read() as session:
        wrapped = session.execute(text("SELECT wrapped_key FROM tenants")).scalar_one()

    def held() -> list[str]:
        return [p.name for p in tmp_path.iterdir() if wrapped[60:] in p.read_bytes()]

    assert held()
    with database.write() as session:
        tenants.erase(session, "acme", AT)
    database.scrub()
    assert held() == []
    database.close()


def test_scrubbing_works_on_every_database(database: Database) -> None:
    make_tenant(database)
    database.scrub()
    with database.read() as session:
        assert tenants.tenant(session, "acme").audit_level is Level.STANDARD
