"""Judging a run as a whole, by the rules that speak of all its rows together."""

from __future__ import annotations

from datetime import UTC

from app.tenant.desk import Desk
from engine.compile import Plan
from engine.errors import Stop
from engine.ledger import Ledger
from engine.model import Severity
from engine.rules import run_check_holds
from storage.books import RunBooks


class RunRuleBroken(Stop):
    """A rule about the whole run was broken, and it says that the run fails."""


def judged(desk: Desk, plan: Plan, books: RunBooks, ledger: Ledger) -> list[str]:
    """Judge the rules about the whole run: those that fail it raise, the others become notes."""
    notes = []
    accepted = ledger.read - ledger.rejected - ledger.filtered
    for check in (c for branch in plan.branches for c in branch.run_checks):
        newest, now = books.newest.get(check.rule), desk.now().replace(tzinfo=UTC)
        if run_check_holds(check, read=ledger.read, accepted=accepted, newest=newest, now=now):
            continue
        if check.severity is Severity.FAIL:
            raise RunRuleBroken(check.message, action="Look at the source, or lower the rule's severity.")
        notes.append(check.message)
    return notes
