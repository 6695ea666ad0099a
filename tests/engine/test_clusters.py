"""Near-duplicates: what OpenRefine's methods put together, and what must stay apart."""

from __future__ import annotations

import pytest

from engine.suggest.clusters import MOST_PAIRED, clusters, fingerprint, ngrams


@pytest.mark.parametrize(
    ("one", "other"),
    [("Cobalt Strike", "strike, cobalt"), ("  AsyncRAT ", "asyncrat"), ("Tëst", "test"), ("a b a", "b a")],
)
def test_a_fingerprint_forgets_case_accents_punctuation_and_order(one: str, other: str) -> None:
    assert fingerprint(one) == fingerprint(other)


def test_an_ngram_fingerprint_forgets_spaces() -> None:
    assert ngrams("Cobalt Strike") == ngrams("CobaltStrike")
    assert ngrams("Cobalt Strike") != ngrams("Brute Ratel")


def test_clusters_put_spellings_together_the_most_frequent_first() -> None:
    counts = {
        "Cobalt Strike": 40,
        "cobalt strike": 3,
        "CobaltStrike": 2,
        "Qakbot": 9,
        "Qackbot": 1,
        "Remcos": 5,
    }
    found = clusters(counts)
    assert [(c.best, c.why, len(c.values)) for c in found] == [
        ("Cobalt Strike", "the same letters", 3),
        ("Qakbot", "a letter or two apart", 2),
    ]


def test_names_that_differ_in_a_number_are_not_one() -> None:
    assert clusters({"sensor-eu-03": 4, "sensor-eu-04": 4, "TA0001": 1, "TA0002": 1}) == []


def test_short_words_are_not_put_together_by_a_letter() -> None:
    assert clusters({"red": 1, "rad": 1, "": 9, " ": 3}) == []


def test_of_very_many_words_no_pairs_are_made_and_those_of_the_same_words_still_meet() -> None:
    counts = {f"family {i * 7919 % 100_003:x} of kind {i}": 1 for i in range(MOST_PAIRED)}
    near = {"CobaltStrike beacon": 3, "CobaltStrike beacom": 1}
    same = {"remote access tool": 2, "Tool, remote access": 1}
    assert [c.best for c in clusters({**near, **same})] == ["CobaltStrike beacon", "remote access tool"]
    assert [c.best for c in clusters({**counts, **near, **same})] == ["remote access tool"]
