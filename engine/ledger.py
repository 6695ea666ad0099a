"""The books of a run: what was read, and where every row of it went."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

from engine.errors import Bug

OUTCOMES = ("inserted", "updated", "unchanged", "duplicate", "rejected", "filtered")


class BooksDoNotBalance(Bug):
    """The books of this run do not balance, so nothing of this batch was kept."""


@dataclass(frozen=True)
class Ledger:
    """Counts of source rows. `read` is what the source physically held; the others say where it went.

    inserted: a key new to the store; updated: a new version of a known key; unchanged: as stored;
    duplicate: repeated in this load; rejected: in quarantine; filtered: left out on purpose.
    """

    read: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    duplicate: int = 0
    rejected: int = 0
    filtered: int = 0

    @property
    def difference(self) -> int:
        """Rows read and not accounted for; 0 where the books balance."""
        return self.read - sum(getattr(self, outcome) for outcome in OUTCOMES)

    @property
    def balanced(self) -> bool:
        return self.difference == 0

    def __add__(self, other: Ledger) -> Ledger:
        return Ledger(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(Ledger)})

    def checked(self) -> Ledger:
        """This ledger, or BooksDoNotBalance."""
        if not self.balanced:
            raise BooksDoNotBalance(f"{self.difference:+,} of {self.read:,} rows are unaccounted for.")
        return self

    def as_dict(self) -> dict[str, int]:
        return asdict(self)
