"""What a vocabulary is: a list of agreed values, other words for them, and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.types.sql import worded


@dataclass(frozen=True)
class Vocabulary:
    """Agreed values of a field. `synonyms` maps lower-case words to a value; `open` ones allow others."""

    name: str
    title: str
    source: str
    values: tuple[str, ...]
    synonyms: Mapping[str, str] = field(default_factory=dict)
    open: bool = False

    def words(self) -> dict[str, str]:
        """Every accepted word in lower case, and the value it means. A synonym counts before a value: on a scale
        of 0 to 10 the word 10 means 100."""
        return {**{value.lower(): value for value in self.values}, **self.synonyms}

    def canonical(self, value: str) -> str:
        """SQL: the agreed value for a VARCHAR expression; another word is kept where `open`, else NULL."""
        known = worded(value, self.words(), self.values)
        return f"coalesce({known}, nullif(trim({value}), ''))" if self.open else known
