"""Values that may be the same written differently: key collision on two fingerprints, and edit distance for few.

The keys are OpenRefine's (documentation, "Clustering methods"): a fingerprint forgets case, accents,
punctuation and the order of words; an n-gram fingerprint forgets spaces too.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from rapidfuzz import process
from rapidfuzz.distance import DamerauLevenshtein

# Beyond so many distinct values each pair would be too many pairs.
MOST_PAIRED = 1_500
# Short words are near everything.
_SHORTEST = 5
# Alike in so much, as a share of the longer one.
_NEAR = 0.84
_WORDS = re.compile(r"[^\w\s]|_", re.UNICODE)


@dataclass(frozen=True)
class Cluster:
    """Values with their counts, the most frequent first, and why they are put together."""

    values: tuple[tuple[str, int], ...]
    why: str

    @property
    def best(self) -> str:
        """The value the others would become: the most frequent."""
        return self.values[0][0]


def fingerprint(value: str) -> str:
    """Words in order and once each, without case, accents and punctuation."""
    return " ".join(sorted(set(_WORDS.sub(" ", _plain(value)).split())))


def ngrams(value: str, size: int = 2) -> str:
    """Pairs of letters in order and once each, without spaces."""
    text = "".join(_WORDS.sub("", _plain(value)).split())
    return "".join(sorted({text[i : i + size] for i in range(max(1, len(text) - size + 1))}))


def clusters(counts: Mapping[str, int]) -> list[Cluster]:
    """Groups of near-duplicates, the one with most rows first; a value stands in one group alone."""
    values = sorted(value for value in counts if value.strip())
    group = {value: value for value in values}
    why: dict[str, str] = {}
    for reason, pairs in (
        ("the same words", _colliding(values, fingerprint)),
        ("the same letters", _colliding(values, ngrams)),
        ("a letter or two apart", _near(values)),
    ):
        for one, other in pairs:
            old, new = group[other], group[one]
            if old != new:
                group.update({value: new for value in values if group[value] == old})
                why[new] = reason
    found: dict[str, list[str]] = defaultdict(list)
    for value in values:
        found[group[value]].append(value)
    made = [
        Cluster(tuple((v, counts[v]) for v in sorted(members, key=lambda v: (-counts[v], v))), why[mark])
        for mark, members in found.items()
        if len(members) > 1
    ]
    return sorted(made, key=lambda cluster: (-sum(count for _, count in cluster.values), cluster.best))


def _colliding(values: Iterable[str], key: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    first: dict[str, str] = {}
    for value in values:
        mark = key(value)
        if mark and first.setdefault(mark, value) != value:
            yield first[mark], value


def _near(values: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Pairs a letter or two apart. Digits count: names that differ in a number differ."""
    words = [value for value in values if len(value) >= _SHORTEST]
    if len(words) > MOST_PAIRED:
        return
    plain = [_plain(word) for word in words]
    scores = process.cdist(plain, plain, scorer=DamerauLevenshtein.normalized_similarity, score_cutoff=_NEAR)
    for i, j in zip(*scores.nonzero(), strict=True):
        if i < j and _digits(plain[i]) == _digits(plain[j]):
            yield words[i], words[j]


def _digits(word: str) -> str:
    return "".join(letter for letter in word if letter.isdigit())


def _plain(value: str) -> str:
    """Lower case, without accents."""
    parted = unicodedata.normalize("NFKD", value.strip().casefold())
    return "".join(letter for letter in parted if not unicodedata.combining(letter))
