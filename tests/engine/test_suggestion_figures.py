"""The labelled feeds: how often the suggestion is right, and that the documentation says the same."""

from __future__ import annotations

import pytest

from benchmarks.suggestion import BEGIN, DOCUMENT, END, Tally, figures, read_feeds, table


@pytest.fixture(scope="module")
def found() -> dict[str, Tally]:
    return figures(read_feeds())


def test_there_are_over_sixty_labelled_feeds_in_two_halves() -> None:
    feeds = read_feeds()
    assert len(feeds) >= 60
    assert min(sum(feed.part == part for feed in feeds) for part in ("development", "held-out")) >= 25


@pytest.mark.timeout(300)
def test_the_suggestion_is_right_nine_times_in_ten_and_finds_most(found: dict[str, Tally]) -> None:
    assert found["all"].precision >= 0.9
    assert found["all"].recall >= 0.8
    assert found["held-out"].precision >= 0.88
    assert found["held-out"].recall >= 0.85


@pytest.mark.timeout(300)
def test_the_documentation_gives_the_figures_of_the_benchmark(found: dict[str, Tally]) -> None:
    written = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0].strip()
    assert written == table(found)
