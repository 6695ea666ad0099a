"""What a kind of value is: a name, and SQL that gives a value's one canonical form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from engine.types.refang import refang, trimmed
from engine.types.sql import let


@dataclass(frozen=True)
class Kind:
    """A kind of value, such as `ipv4`. `form` maps SQL of a clean value to SQL of its canonical form.

    `refangs` kinds take defanging marks off first; the others only trim, since brackets may be
    part of what they say.
    """

    name: str
    title: str
    description: str
    form: Callable[[str], str] = field(repr=False, compare=False)
    refangs: bool = False

    def canonical(self, value: str) -> str:
        """SQL: the canonical form of the VARCHAR expression `value`, NULL where it isn't of this kind.

        Idempotent, never raises, and evaluates `value` once a row.
        """
        return let("k", refang(value) if self.refangs else trimmed(value), self.form)
