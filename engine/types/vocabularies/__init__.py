"""The vocabularies fields agree on, by name."""

from __future__ import annotations

from engine.types.vocabularies.confidence import CONFIDENCE
from engine.types.vocabularies.country import ALPHA3, COUNTRIES
from engine.types.vocabularies.misp import MISP
from engine.types.vocabularies.stix import STIX
from engine.types.vocabularies.tlp import TLP
from engine.types.vocabularies.vocabulary import Vocabulary
from engine.types.vocabularies.words import KIND_WORDS, SEVERITY, YES_NO

COUNTRY = Vocabulary(
    "country",
    "Country",
    "ISO 3166-1",
    tuple(COUNTRIES),
    {
        **{name.lower(): code for code, name in COUNTRIES.items()},
        **{c.lower(): two for c, two in ALPHA3.items()},
    },
)

VOCABULARIES: dict[str, Vocabulary] = {
    one.name: one for one in (TLP, *CONFIDENCE, SEVERITY, YES_NO, KIND_WORDS, COUNTRY, *MISP, *STIX)
}

__all__ = ["VOCABULARIES", "Vocabulary"]
