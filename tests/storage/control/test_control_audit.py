"""The control plane's audit chain and the witnessed heads of all chains."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, text

from storage.audit import ActionKind, ChainBroken, Event, Head, head_after
from storage.control import control_audit
from storage.control.database import Database
from storage.control.installation import Installation
from tests.storage.control.making import AT


def record(database: Database, keys: Installation, count: int = 5, tenant: str = "") -> Head:
    for number in range(count):
        with database.write() as session:
            event = Event(
                ActionKind.SECURITY, "ada", "user.create", f"u{number}", after={"password": "S3CRET"}
            )
            row = control_audit.record(session, keys, event, AT, tenant)
    return head_after(row)


def test_control_events_are_chained_and_listed_newest_first(database: Database, keys: Installation) -> None:
    record(database, keys, 3)
    record(database, keys, 2, "acme")
    with database.read() as session:
        verdict = control_audit.verify_control(session, keys)
        assert (verdict.ok, verdict.head.count) == (True, 5)
        assert [row.seq for row in control_audit.events(session, before=5, limit=2)] == [4, 3]
        assert [row.seq for row in control_audit.events(session, tenant="acme")] == [5, 4]
        assert "S3CRET" not in str(list(control_audit.rows(session)))


@pytest.mark.parametrize(
    ("sql", "broken"),
    [
        ("UPDATE audit SET outcome = 'refused' WHERE seq = 2", 2),
        ("DELETE FROM audit WHERE seq = 3", 3),
        ("DELETE FROM audit WHERE seq = 5", 5),
        ("DELETE FROM audit", 1),
        ("UPDATE audit_heads SET count = 4", None),
    ],
)
def test_tampering_with_the_control_audit_shows(
    database: Database, keys: Installation, plain: Engine, sql: str, broken: int | None
) -> None:
    record(database, keys)
    with plain.begin() as connection:
        connection.execute(text(sql))
    with database.read() as session:
        verdict = control_audit.verify_control(session, keys)
    assert (verdict.ok, verdict.broken) == (False, broken)
    assert verdict.reason


def test_a_tenants_witnessed_head_only_moves_on(database: Database, keys: Installation) -> None:
    chain = control_audit.tenant_chain("acme")

    def advance(head: Head) -> None:
        with database.write() as session:
            control_audit.advance(session, keys, chain, head)

    for count in (3, 3, 9):
        advance(Head(count, "a" * 64))
    for back in (Head(8, "a" * 64), Head(9, "b" * 64), Head()):
        with pytest.raises(ChainBroken):
            advance(back)
    with database.read() as session:
        assert control_audit.head(session, keys, chain) == Head(9, "a" * 64)
        assert control_audit.head(session, keys, control_audit.tenant_chain("globex")) == Head()
