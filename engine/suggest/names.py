"""How much a column's name says: normalised, cut into words, translated, compared."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from rapidfuzz import fuzz

from engine.model import TargetField
from engine.suggest.words import GLUED, MEANING, PHRASES, SPLIT, WEAK

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_PLURAL = re.compile(r"(?<=[a-z]{3})s$")


@lru_cache(maxsize=20_000)
def words_of(name: str) -> tuple[str, ...]:
    """The words of a name, each as the one word we compare with: `dst_ipAddr` is dst, ip, address."""
    # Accents are dropped from Latin letters only: in Japanese and Cyrillic the mark is part of the letter.
    text = "".join(
        unicodedata.normalize("NFD", c)[0] if c < "\u0250" else c for c in unicodedata.normalize("NFKC", name)
    )
    text = re.sub(r"IP(?=v[46])", "ip", text)
    text = _CAMEL.sub(" ", text).lower().replace("ß", "ss")
    if any(c > "\u2e80" for c in text):
        for glued in GLUED:
            text = text.replace(glued, f" {MEANING[glued]} ")
    found: list[str] = []
    for word in re.split(r"[^\w]+|_+", text):
        if word:
            found += _meaning(word)
    # "Erstmals gesehen am", "e-mail": leave what says something, in order, each once.
    return tuple(dict.fromkeys(_joined(found)))


def _meaning(word: str) -> list[str]:
    if word in SPLIT:
        return [MEANING.get(part, part) for part in SPLIT[word].split()]
    if word in MEANING:
        return [MEANING[word]]
    single = _PLURAL.sub("", word)
    return [MEANING.get(single, single)]


def _joined(words: list[str]) -> list[str]:
    """Words that mean one thing only together."""
    joined = " ".join(words)
    for apart, together in (
        ("e email", "email"),
        ("kill chain", "killchain"),
        ("sha 256", "sha256"),
        ("sha 1", "sha1"),
        ("sha 512", "sha512"),
        ("md 5", "md5"),
        ("op system", "os"),
        ("operating system", "os"),
        ("traffic light protocol", "traffic"),
    ):
        joined = re.sub(rf"\b{apart}\b", together, joined)
    return joined.split()


def normalised(name: str) -> str:
    """The name as history remembers it: its words in order, so that `First Seen` and `first_seen` are one."""
    return " ".join(words_of(name)) or name.strip().lower()


def shared_words(names: Sequence[str]) -> frozenset[str]:
    """Words most of the columns have in common, such as a `Vulnerability …` before each: they tell nothing apart."""
    if len(names) < 4:
        return frozenset()
    counts: dict[str, int] = {}
    for name in names:
        for word in words_of(name):
            counts[word] = counts.get(word, 0) + 1
    return frozenset(word for word, n in counts.items() if n >= 0.6 * len(names))


def phrases_of(field: TargetField) -> tuple[str, ...]:
    """What may be written over a column meant for this field: its own name first."""
    found = (field.name, field.title, *field.synonyms, *PHRASES.get(field.name, ()))
    return tuple(dict.fromkeys(phrase for phrase in found if phrase))


def similarity(name: str, field: TargetField, ignore: frozenset[str] = frozenset()) -> tuple[float, str]:
    """How alike a column's name and a field are, 0 to 1, and the phrase that was nearest."""
    words = tuple(word for word in words_of(name) if word not in ignore) or words_of(name)
    best, nearest = 0.0, ""
    for phrase in phrases_of(field):
        alike = _alike(words, words_of(phrase))
        # The field's own name outranks a synonym where both are as near.
        alike -= 0.0 if phrase == field.name else 0.02
        if alike > best:
            best, nearest = alike, phrase
    return best, nearest


@lru_cache(maxsize=200_000)
def _alike(left: tuple[str, ...], right: tuple[str, ...]) -> float:
    if not left or not right:
        return 0.0
    if left == right:
        return 1.0
    paired = 0.0
    rest = list(right)
    for word in left:
        match = max(rest, key=lambda other: _same(word, other), default=None)
        if match is not None and (sure := _same(word, match)) > 0:
            paired += sure * (_weight(word) + _weight(match))
            rest.remove(match)
    total = sum(map(_weight, left)) + sum(map(_weight, right))
    alike = 0.97 * paired / total
    if len(left) == len(right) == 1:
        return alike
    spelled = fuzz.ratio(" ".join(left), " ".join(right)) / 100
    return max(alike, 0.9 * spelled if spelled >= 0.88 else 0.0)


@lru_cache(maxsize=200_000)
def _same(left: str, right: str) -> float:
    if left == right:
        return 1.0
    if min(len(left), len(right)) >= 5:
        spelled = fuzz.ratio(left, right) / 100
        return 0.9 * spelled if spelled >= 0.84 else 0.0
    return 0.0


def _weight(word: str) -> float:
    return WEAK.get(word, 1.0)
