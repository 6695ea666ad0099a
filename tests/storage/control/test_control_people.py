"""People: the set-up link, accounts, passwords and roles."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, text

from engine.errors import Stop
from storage.control import installation, people
from storage.control.database import Database
from storage.control.installation import Installation, SetupRefused
from tests.storage.control.making import AT, HOUR, PASSWORD, make_tenant, make_user


def test_the_set_up_link_makes_one_first_administrator_and_no_second(
    database: Database, keys: Installation
) -> None:
    with database.write() as session:
        old = installation.issue_setup(session, keys, AT)
        token = installation.issue_setup(session, keys, AT)
    for wrong, at in ((old, AT), ("guess", AT), (token, AT + 25 * HOUR)):
        with pytest.raises(SetupRefused), database.write() as session:
            installation.use_setup(session, keys, wrong, at)

    def first(login: str) -> bool:
        try:
            with database.write() as session:
                installation.use_setup(session, keys, token, AT)
                people.create(session, login, PASSWORD, AT, role="administrator")
        except SetupRefused:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(first, ["a", "b", "c", "d"])) == 1
    with database.write() as session:
        assert len(people.users(session)) == 1
        assert not installation.needs_setup(session)
        with pytest.raises(SetupRefused):
            installation.issue_setup(session, keys, AT)


def test_a_set_up_that_fails_does_not_spend_the_link(database: Database, keys: Installation) -> None:
    with database.write() as session:
        token = installation.issue_setup(session, keys, AT)

    def broken() -> None:
        with database.write() as session:
            installation.use_setup(session, keys, token, AT)
            people.create(session, "ada", "short", AT)

    with pytest.raises(people.WeakPassword):
        broken()
    with database.write() as session:
        installation.use_setup(session, keys, token, AT)


def test_a_password_is_stored_as_argon2id_and_never_in_the_clear(database: Database, plain: Engine) -> None:
    make_user(database)
    with plain.connect() as connection:
        stored = connection.execute(text("SELECT password_hash FROM users")).scalar_one()
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,")
    assert people.check_password(stored, PASSWORD)
    assert not people.check_password(stored, PASSWORD + "x")
    assert not people.check_password(None, PASSWORD)
    assert not people.check_password("not a hash", PASSWORD)


@pytest.mark.parametrize("password", ["", "elevenchars", "x" * 513, "ada.lovelace@example.org"])
def test_a_weak_password_is_refused(database: Database, password: str) -> None:
    with pytest.raises(people.WeakPassword), database.write() as session:
        people.create(session, "Ada.Lovelace@example.org", password, AT)


def test_no_two_accounts_look_alike_by_case_or_width(database: Database) -> None:
    make_user(database, "Ada")
    for login in ("ada", " ADA ", "ａｄａ"):
        with pytest.raises(people.LoginTaken):
            make_user(database, login)
    for login in ("", "  ", "a\nb", "a\u202eb", "x" * 201):
        with pytest.raises(people.BadAccount):
            make_user(database, login)


def test_roles_cover_what_stands_below_them_and_auditors_stand_apart() -> None:
    covered = {role: {other for other in people.ROLES if people.covers(role, other)} for role in people.ROLES}
    assert covered == {
        "viewer": {"viewer"},
        "analyst": {"viewer", "analyst"},
        "engineer": {"viewer", "analyst", "engineer"},
        "administrator": set(people.ROLES),
        "auditor": {"auditor"},
    }
    assert not people.covers(None, "viewer")
    assert not people.covers("administrator", "owner")


def test_a_role_holds_in_its_tenant_only_and_only_while_the_account_is_open(database: Database) -> None:
    make_tenant(database)
    make_tenant(database, "globex")
    root, user = make_user(database, "root", "administrator"), make_user(database)
    with database.write() as session:
        people.grant(session, user, "acme", "viewer", AT)
        people.grant(session, user, "acme", "engineer", AT)
        for role, tenant in (("owner", "acme"), ("viewer", "nowhere")):
            with pytest.raises(Stop):
                people.grant(session, user, tenant, role, AT)
    with database.read() as session:
        assert people.role_in(session, user, "acme") == "engineer"
        assert people.role_in(session, user, "globex") is None
        assert people.role_in(session, root, "acme") is None
        assert people.roles_of(session, user) == {"acme": "engineer"}
        assert [(u.login, role) for u, role in people.members(session, "acme")] == [("ada", "engineer")]
    with database.write() as session:
        people.deactivate(session, user, AT)
    with database.read() as session:
        assert people.role_in(session, user, "acme") is None


def test_the_last_administrator_can_neither_leave_nor_be_demoted(database: Database) -> None:
    one, two = make_user(database, "one", "administrator"), make_user(database, "two", "administrator")
    with database.write() as session:
        people.deactivate(session, two, AT)
    for action in (
        lambda s: people.deactivate(s, one, AT),
        lambda s: people.set_installation_role(s, one, None, AT),
        lambda s: people.set_installation_role(s, one, "auditor", AT),
    ):
        with pytest.raises(people.LastAdministrator), database.write() as session:
            action(session)
