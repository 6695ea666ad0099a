"""Words and scales of confidence as the integer of STIX 2.1, Appendix A (0 to 100)."""

from __future__ import annotations

from engine.types.vocabularies.vocabulary import Vocabulary

NONE_LOW_MED_HIGH = {"none": 0, "low": 15, "med": 50, "high": 85}
ADMIRALTY = {
    "5 - improbable": 10, "4 - doubtful": 30, "3 - possibly true": 50, "2 - probably true": 70,
    "1 - confirmed by other sources": 90,
}  # fmt: skip
WEP = {
    "impossible": 0, "highly unlikely": 10, "almost certainly not": 10, "unlikely": 30, "probably not": 30,
    "even chance": 50, "likely": 70, "probable": 70, "highly likely": 90, "almost certain": 90, "certain": 100,
}  # fmt: skip
DNI = {
    "almost no chance": 5, "remote": 5, "very unlikely": 15, "highly improbable": 15, "unlikely": 30,
    "improbable": 30, "roughly even chance": 50, "roughly even odds": 50, "likely": 70, "probable": 70,
    "very likely": 85, "highly probable": 85, "almost certain": 95, "nearly certain": 95,
}  # fmt: skip

# Words feeds use that are in no scale, put where the nearest word of a scale stands.
LOOSE = {
    "medium": 50, "moderate": 50, "very low": 5, "very high": 95, "critical": 95, "confirmed": 90, "certain": 100,
    "doubtful": 30, "possibly true": 50, "probably true": 70, "possible": 50, "suspected": 30,
}  # fmt: skip


def _scale(name: str, title: str, words: dict[str, int]) -> Vocabulary:
    synonyms = {word: str(number) for word, number in words.items()}
    values = tuple(sorted(set(synonyms.values()), key=int))
    return Vocabulary(name, title, "STIX 2.1 Appendix A", values, synonyms)


def _slashed(words: dict[str, int]) -> dict[str, int]:
    """Also the standard's own spelling of two words for one number: `Likely/Probable`, `Likely / Probable`."""
    pairs = [(a, b) for a in words for b in words if a != b and words[a] == words[b]]
    return {**words, **{f"{a}{bar}{b}": words[a] for a, b in pairs for bar in ("/", " / ")}}


CONFIDENCE: tuple[Vocabulary, ...] = (
    # Where two scales disagree over a word, that of words of estimative probability counts.
    _scale("confidence", "Confidence in words", {**DNI, **WEP, **ADMIRALTY, **NONE_LOW_MED_HIGH, **LOOSE}),
    _scale("confidence-none-low-med-high", "None, low, medium, high", NONE_LOW_MED_HIGH),
    _scale(
        "confidence-admiralty",
        "Admiralty credibility",
        {**{word[0]: number for word, number in ADMIRALTY.items()}, **ADMIRALTY},
    ),
    _scale("confidence-0-10", "Confidence, 0 to 10", {str(n): n * 10 for n in range(11)}),
    _scale("confidence-wep", "Words of estimative probability", _slashed(WEP)),
    _scale("confidence-dni", "DNI scale", _slashed(DNI)),
)
