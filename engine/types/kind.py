"""What a kind of value is: a name, and SQL that gives a value's one canonical form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from engine.types.refang import is_plain, refang, trimmed
from engine.types.sql import let


@dataclass(frozen=True)
class Kind:
    """A kind of value, such as `ipv4`. `form` maps SQL of a clean value to SQL of its canonical form.

    `refangs` kinds take defanging marks off first; the others only trim, since brackets may be
    part of what they say.

    The two halves, `clean` and `form`, are for plans that can name a value between them: there the
    whole costs a third of `canonical` on values that need cleaning.
    """

    name: str
    title: str
    description: str
    form: Callable[[str], str] = field(repr=False, compare=False)
    refangs: bool = False

    def clean(self, value: str) -> str:
        """SQL: the value as `form` wants it, NULL for NULL. Give it a column: it stands here several times."""
        return refang(value) if self.refangs else trimmed(value)

    def canonical(self, value: str) -> str:
        """SQL: the canonical form of the VARCHAR expression `value`, NULL where it isn't of this kind.

        Idempotent and never raises. Give it a column: it stands here several times.
        """
        return (
            f"CASE WHEN {value} IS NULL THEN NULL WHEN {is_plain(value)} THEN {self.form(value)} "
            f"ELSE {let('k', self.clean(value), self.form)} END"
        )
