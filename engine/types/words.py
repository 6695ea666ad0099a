"""Long lists of words as ENUM types: a cast is a look into a hash table, and plans name the list instead of repeating it."""

from __future__ import annotations

from engine.types.sql import literals
from engine.types.vocabularies.file import EXTENSIONS
from engine.types.vocabularies.tld import DELEGATED, SPECIAL_USE

WORDS = {
    "spire_tld": sorted(DELEGATED | SPECIAL_USE),
    "spire_extension": sorted(EXTENSIONS),
    "spire_file_only": sorted(EXTENSIONS - DELEGATED - SPECIAL_USE),
}


def is_word(value: str, words: str) -> str:
    """SQL: the value is one of the list's words. `register` makes the types, in the database `memory`."""
    return f"(TRY_CAST({value} AS memory.main.{words}) IS NOT NULL)"


def definitions() -> list[str]:
    """The statements that make the types; repeating them is harmless."""
    return [
        f"CREATE TYPE IF NOT EXISTS memory.main.{name} AS ENUM ({literals(words)})"
        for name, words in WORDS.items()
    ]
