"""Indicator types: what a value is, its one canonical form, and the vocabularies fields agree on. All of it SQL.

Every function that takes `value` takes SQL of a VARCHAR expression and gives SQL (DuckDB's); nothing
raises on any value, NULL stays NULL. `register` a connection before running what they give.
"""

from __future__ import annotations

from engine.types.digest import DIGESTS
from engine.types.evaluate import evaluate
from engine.types.functions import register
from engine.types.host import HOST_KINDS
from engine.types.identifier import IDENTIFIERS
from engine.types.identity import indicator_id, observable_id, uuid5_of
from engine.types.indicator import INDICATOR
from engine.types.indicator import canonical_as as _canonical_as
from engine.types.indicator import form_as as _form_as
from engine.types.kind import Kind
from engine.types.network import NETWORK
from engine.types.pattern import pattern_from, pattern_kind, pattern_observables, pattern_value
from engine.types.recognise import looks, recognise
from engine.types.refang import defang, refang
from engine.types.sql import let, literal
from engine.types.timestamp import date_order, timestamp, timestamp_formatted, timestamp_ordered
from engine.types.vocabularies import VOCABULARIES, Vocabulary

_SINGLE = (*NETWORK, *DIGESTS, *HOST_KINDS, *IDENTIFIERS)

KINDS: dict[str, Kind] = {kind.name: kind for kind in (*_SINGLE, INDICATOR)}


def canonical_as(value: str, kind: str) -> str:
    """SQL: canonical form of `value` as the kind that the SQL expression `kind` names.

    A NULL kind leaves it to the value's looks; a kind we don't know keeps the trimmed value.
    """
    return _canonical_as(value, kind, _SINGLE)


def form_as(value: str, clean: str, kind: str) -> str:
    """SQL: as `canonical_as`, where a plan has already named `clean`, the refanged value. Columns all three."""
    return _form_as(value, clean, kind, _SINGLE)


__all__ = [
    "KINDS",
    "VOCABULARIES",
    "Kind",
    "Vocabulary",
    "canonical_as",
    "date_order",
    "defang",
    "evaluate",
    "form_as",
    "indicator_id",
    "let",
    "literal",
    "looks",
    "observable_id",
    "pattern_from",
    "pattern_kind",
    "pattern_observables",
    "pattern_value",
    "recognise",
    "refang",
    "register",
    "timestamp",
    "timestamp_formatted",
    "timestamp_ordered",
    "uuid5_of",
]
