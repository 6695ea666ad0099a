"""How much a column's name says: normalised, cut into words, translated, compared."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from rapidfuzz import fuzz

from engine.model import TargetField
from engine.suggest.words import GLUED, MEANING, PHRASES, SPLIT, WEAK

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NUMBERED = re.compile(r"v?[0-9]+")
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
        ("wi fi", "wifi"),
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


@dataclass(frozen=True)
class Phrase:
    """What may be written over a column meant for a field; `distance` is what it lacks of being the field's name.

    `telling` phrases say something by themselves, so that a longer name may end with them.
    """

    text: str
    words: tuple[str, ...]
    distance: float
    telling: bool


def phrases_of(field: TargetField, others: Iterable[str] = ()) -> tuple[Phrase, ...]:
    """The phrases that mean a field. `others` are the target's other fields: what names them is theirs alone."""
    written = {name.replace("_", " ") for name in others if name != field.name}
    theirs = {words_of(name) for name in written}
    said = (p for p in field.synonyms if p.lower() not in written)
    more = (p for p in PHRASES.get(field.name, ()) if words_of(p) not in theirs)
    own = frozenset(words_of(field.name))
    return tuple(
        _phrase(text, field, own) for text in dict.fromkeys((field.name, field.title, *said, *more)) if text
    )


def _phrase(text: str, field: TargetField, own: frozenset[str]) -> Phrase:
    words = words_of(text)
    # The field's own name outranks its synonyms, and those near it the distant ones.
    distance = 0.0 if text == field.name else 0.01 if text == field.title or own & set(words) else 0.03
    return Phrase(text.lower(), words, distance, any(_weight(word) >= 1 for word in words))


def similarity(
    name: str, phrases: Iterable[Phrase], ignore: frozenset[str] = frozenset()
) -> tuple[float, str]:
    """How alike a column's name and a field's phrases are, 0 to 1, and the phrase that was nearest."""
    words = words_of(name)
    # Words most columns share tell nothing apart, but may be part of what is meant.
    bare = tuple(word for word in words if word not in ignore) or words
    # `metadata.country`: what stands before the last point is where it stood, not what it is.
    last = words_of(re.split(r"[./]| - ", name)[-1])
    written = name.strip().lower()
    best, nearest = 0.0, ""
    for phrase in phrases:
        if written == phrase.text:
            # The very word, in whatever language, outranks one that only means the same.
            alike = 1.0
        else:
            alike = _alike(words, phrase.words)
            if bare != words:
                alike = max(alike, 0.98 * _alike(bare, phrase.words))
            if last != words:
                alike = max(alike, 0.95 * _alike(last, phrase.words))
            # `install_status` is a status: the last word says what it is.
            if (
                phrase.telling
                and len(words) > len(phrase.words)
                and words[-len(phrase.words) :] == phrase.words
            ):
                alike = max(alike, 0.8)
            alike *= 0.97
        alike -= phrase.distance
        if alike > best:
            best, nearest = alike, phrase.text
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
    alike = paired / total
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
    return 0.1 if _NUMBERED.fullmatch(word) else WEAK.get(word, 1.0)
