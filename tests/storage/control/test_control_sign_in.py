"""Signing in at a bounded rate, and staying signed in for a bounded time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest
from sqlalchemy import Engine, text

from storage.control import people, sessions
from storage.control.database import Database
from storage.control.installation import Installation
from storage.control.sessions import Limits, LockedOut, SignInRefused
from tests.storage.control.making import AT, DAY, HOUR, MINUTE, PASSWORD, SECOND, make_user


def try_in(database: Database, keys: Installation, password: str, at: datetime, address: str = "10.0.0.1", login: str = "ada", limits: Limits | None = None) -> str:  # fmt: skip
    try:
        sessions.sign_in(database, keys, login, password, address, at, limits)
    except SignInRefused:
        return "refused"
    except LockedOut as locked:
        return f"locked {locked.seconds}"
    return "in"


def test_the_right_password_lets_in_and_the_reason_for_no_is_never_told(
    database: Database, keys: Installation
) -> None:
    make_user(database)
    closed = make_user(database, "closed")
    with database.write() as session:
        people.deactivate(session, closed, AT)
    assert try_in(database, keys, PASSWORD, AT, login=" ADA ") == "in"
    messages = set()
    for login, password in (("ada", "wrong"), ("nobody", PASSWORD), ("closed", PASSWORD)):
        with pytest.raises(SignInRefused) as error:
            sessions.sign_in(database, keys, login, password, "10.0.0.1", AT)
        messages.add(str(error.value))
    assert len(messages) == 1


def test_failures_lock_a_name_from_one_address_for_longer_and_longer(
    database: Database, keys: Installation
) -> None:
    make_user(database)
    assert [try_in(database, keys, "wrong", AT) for _ in range(6)] == ["refused"] * 5 + ["locked 60"]
    assert try_in(database, keys, PASSWORD, AT + 59 * SECOND) == "locked 1"
    assert try_in(database, keys, "wrong", AT + MINUTE) == "refused"
    assert try_in(database, keys, PASSWORD, AT + 2 * MINUTE) == "locked 60"
    assert try_in(database, keys, PASSWORD, AT + 2 * MINUTE, address="10.0.0.2") == "in"
    assert try_in(database, keys, PASSWORD, AT + 3 * MINUTE) == "in"
    assert [try_in(database, keys, "wrong", AT + 4 * MINUTE) for _ in range(2)] == ["refused"] * 2
    assert try_in(database, keys, PASSWORD, AT + 4 * MINUTE) == "in"


def test_a_lock_never_grows_beyond_its_longest(database: Database, keys: Installation) -> None:
    at, limits = AT, Limits(pair=1, longest=2 * MINUTE)
    for _ in range(6):
        assert try_in(database, keys, "wrong", at, limits=limits) == "refused"
        at += 2 * MINUTE
    assert try_in(database, keys, "wrong", at, limits=limits) == "refused"


def test_a_burst_of_attempts_at_once_gets_no_more_tries_than_one_after_another(
    database: Database, keys: Installation
) -> None:
    make_user(database)
    with ThreadPoolExecutor(12) as pool:
        results = list(pool.map(lambda n: try_in(database, keys, f"wrong {n}", AT), range(12)))
    assert results.count("refused") == 5


def test_one_address_cannot_try_many_names_nor_many_addresses_one_name(
    database: Database, keys: Installation
) -> None:
    make_user(database)
    few = Limits(address=4, login=6)
    names = [try_in(database, keys, "wrong", AT, login=f"n{n}", limits=few) for n in range(5)]
    assert names == ["refused"] * 4 + ["locked 900"]
    addresses = [try_in(database, keys, "wrong", AT, address=f"10.1.0.{n}", limits=few) for n in range(7)]
    assert addresses == ["refused"] * 6 + ["locked 86400"]


def test_a_whole_ipv6_network_counts_as_one_address(database: Database, keys: Installation) -> None:
    few = Limits(address=3)
    results = [
        try_in(database, keys, "wrong", AT, address=f"2001:db8::{n}", login=f"n{n}", limits=few)
        for n in range(4)
    ]
    assert results[-1].startswith("locked")
    assert try_in(database, keys, "wrong", AT, address="2001:db8:0:1::1", login="x", limits=few) == "refused"
    assert try_in(database, keys, "wrong", AT, address="::ffff:10.0.0.9", login="x", limits=few) == "refused"


def test_what_was_typed_as_a_name_is_not_readable_in_the_database(
    database: Database, keys: Installation, plain: Engine
) -> None:
    try_in(database, keys, "x", AT, login="my password in the wrong box")
    with plain.connect() as connection:
        assert "wrong box" not in str(connection.execute(text("SELECT * FROM attempts")).all())
    with database.write() as session:
        sessions.forget_attempts(session, AT + DAY)
    with plain.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM attempts")).scalar_one() == 0


def test_a_session_holds_until_it_is_idle_expired_or_ended(database: Database, keys: Installation) -> None:
    user = make_user(database)
    with database.write() as session:
        token = sessions.start(session, keys, user, "10.0.0.1", AT)

    def find(at: datetime, token: str = token) -> sessions.SignedIn | None:
        return sessions.resolve(database, keys, token, at)

    found = find(AT)
    assert found is not None
    assert (found.user.id, found.expires) == (user, AT + 12 * HOUR)
    assert find(AT, "guess") is None
    assert find(AT, found.id) is None
    assert find(AT + 3 * HOUR) is None
    assert find(AT + 2 * HOUR - SECOND) is not None
    assert find(AT + 3 * HOUR) is not None
    for hour in range(4, 12):
        assert find(AT + hour * HOUR) is not None
    assert find(AT + 12 * HOUR) is None
    with database.write() as session:
        sessions.end(session, found.id, AT)
    assert find(AT) is None


def test_signing_out_everywhere_names_each_session_and_ends_it(
    database: Database, keys: Installation
) -> None:
    ada, eve = make_user(database), make_user(database, "eve")
    with database.write() as session:
        tokens = [sessions.start(session, keys, ada, "10.0.0.1", AT) for _ in range(3)]
        other = sessions.start(session, keys, eve, "10.0.0.1", AT)
    ids = {sessions.resolve(database, keys, token, AT).id for token in tokens}  # type: ignore[union-attr]
    with database.write() as session:
        assert set(people.end_sessions(session, ada, AT)) == ids
    assert [sessions.resolve(database, keys, token, AT) for token in tokens] == [None] * 3
    assert sessions.resolve(database, keys, other, AT) is not None


def test_a_new_password_and_a_closed_account_end_every_session(
    database: Database, keys: Installation
) -> None:
    user = make_user(database)
    for action in (
        lambda s: people.set_password(s, user, "another long password", AT),
        lambda s: people.deactivate(s, user, AT),
    ):
        with database.write() as session:
            token = sessions.start(session, keys, user, "10.0.0.1", AT)
        with database.write() as session:
            assert len(action(session)) == 1
        assert sessions.resolve(database, keys, token, AT) is None
    with database.write() as session:
        people.reactivate(session, user)
    assert sessions.resolve(database, keys, token, AT) is None
    assert try_in(database, keys, "another long password", AT) == "in"
