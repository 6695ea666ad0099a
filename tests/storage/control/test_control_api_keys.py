"""API keys: shown once, stored as hashes, and gone with the role they were made with."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import Engine, text

from storage.control import api_keys, people
from storage.control.database import Database
from storage.control.installation import Installation
from tests.storage.control.making import AT, DAY, SECOND, make_tenant, make_user


def test_an_api_key_is_shown_once_and_stored_as_a_hash(
    database: Database, keys: Installation, plain: Engine
) -> None:
    make_tenant(database)
    with database.write() as session:
        made, shown = api_keys.create(session, keys, "ci", "acme", "engineer", AT)
    assert re.fullmatch(r"spire_[a-z2-7]{12}_[\w-]{43}", shown)
    with plain.connect() as connection:
        everything = str(connection.execute(text("SELECT * FROM api_keys")).all())
    assert shown[19:] not in everything
    found = api_keys.authenticate(database, keys, shown, AT)
    assert found is not None
    assert (found.id, found.tenant, found.role) == (made.id, "acme", "engineer")
    with database.read() as session:
        assert api_keys.api_keys(session, "acme")[0].last_used == AT
        assert api_keys.api_keys(session) == []


def test_a_key_that_is_wrong_expired_or_revoked_opens_nothing(database: Database, keys: Installation) -> None:
    make_tenant(database)
    with database.write() as session:
        made, shown = api_keys.create(session, keys, "ci", "acme", "viewer", AT, expires=AT + DAY)
    wrong = shown[:-1] + ("A" if shown[-1] != "A" else "B")
    for guess in (
        wrong,
        shown.upper(),
        shown[:-1],
        shown + "A",
        "",
        made.prefix,
        f"spire_{made.prefix}_" + "A" * 43,
    ):
        assert api_keys.authenticate(database, keys, guess, AT) is None
    assert api_keys.authenticate(database, keys, shown, AT + DAY - SECOND) is not None
    assert api_keys.authenticate(database, keys, shown, AT + DAY) is None
    for tenant in ("globex", None):
        with pytest.raises(api_keys.NoSuchApiKey), database.write() as session:
            api_keys.revoke(session, made.id, tenant, AT)
    with database.write() as session:
        assert api_keys.revoke(session, made.id, "acme", AT).revoked == AT
    assert api_keys.authenticate(database, keys, shown, AT) is None


def test_a_copy_of_the_database_is_not_enough_to_make_a_key(
    database: Database, keys: Installation, plain: Engine
) -> None:
    make_tenant(database)
    other = Installation(keys.audit, keys.cookie, b"p" * 32)
    with database.write() as session:
        _, shown = api_keys.create(session, other, "forged", "acme", "administrator", AT)
    assert api_keys.authenticate(database, keys, shown, AT) is None


def test_a_key_does_not_outlive_the_role_it_was_made_with(database: Database, keys: Installation) -> None:
    make_tenant(database)
    user = make_user(database)
    with database.write() as session:
        people.grant(session, user, "acme", "engineer", AT)
        engineer = api_keys.create(session, keys, "e", "acme", "engineer", AT, created_by=user)[1]
        viewer = api_keys.create(session, keys, "v", "acme", "viewer", AT, created_by=user)[1]
        service = api_keys.create(session, keys, "s", "acme", "engineer", AT)[1]

    def works() -> list[bool]:
        shown = (engineer, viewer, service)
        return [api_keys.authenticate(database, keys, key, AT) is not None for key in shown]

    assert works() == [True, True, True]
    with database.write() as session:
        people.grant(session, user, "acme", "viewer", AT)
    assert works() == [False, True, True]
    with database.write() as session:
        people.withdraw(session, user, "acme", AT)
    assert works() == [False, False, True]


def test_a_key_of_the_installation_has_a_role_of_the_installation_only(
    database: Database, keys: Installation
) -> None:
    for role in ("engineer", "viewer", "analyst", "root"):
        with pytest.raises(people.NoSuchRole), database.write() as session:
            api_keys.create(session, keys, "x", None, role, AT)
    root = make_user(database, "root", "administrator")
    make_user(database, "spare", "administrator")
    with database.write() as session:
        _, shown = api_keys.create(session, keys, "x", None, "administrator", AT, created_by=root)
    found = api_keys.authenticate(database, keys, shown, AT)
    assert found is not None
    assert found.tenant is None
    with database.write() as session:
        people.set_installation_role(session, root, "auditor", AT)
    assert api_keys.authenticate(database, keys, shown, AT) is None
