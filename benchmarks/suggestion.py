"""Precision and recall of the suggestion over the labelled feeds in `tests/feeds`.

`python -m benchmarks.suggestion` prints the table, `--write` puts it into docs/suggestion.md,
`--show development` lists every wrong, missed or superfluous pair of one half.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import duckdb
import yaml

from engine import types
from engine.profile import Profile, profile
from engine.suggest import suggest, suggest_target
from engine.targets import TARGETS

ROOT = Path(__file__).resolve().parent.parent
FEEDS = ROOT / "tests" / "feeds"
DOCUMENT = ROOT / "docs" / "suggestion.md"
BEGIN, END = "<!-- figures -->", "<!-- /figures -->"


@dataclass(frozen=True)
class Feed:
    """A labelled feed. `expected` maps a target field to the answers that are right; None is no answer."""

    name: str
    source: str
    target: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    expected: dict[str, tuple[str | None, ...]]

    @property
    def part(self) -> str:
        """Which half it belongs to, by the hash of its name."""
        return "held-out" if hashlib.sha256(self.name.encode()).digest()[0] % 2 else "development"


@dataclass(frozen=True)
class Tally:
    """Pairs proposed, of them right, and pairs that had to be found; `targets` models recognised of `feeds`."""

    feeds: int = 0
    proposed: int = 0
    right: int = 0
    wanted: int = 0
    found: int = 0
    targets: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.feeds + other.feeds,
            self.proposed + other.proposed,
            self.right + other.right,
            self.wanted + other.wanted,
            self.found + other.found,
            self.targets + other.targets,
        )

    @property
    def precision(self) -> float:
        return self.right / self.proposed if self.proposed else 1.0

    @property
    def recall(self) -> float:
        return self.found / self.wanted if self.wanted else 1.0


def read_feeds(folder: Path = FEEDS) -> list[Feed]:
    """The labelled feeds in the order of their names."""
    return [_read(path) for path in sorted(folder.glob("*.yaml"))]


def _read(path: Path) -> Feed:
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    lines = list(csv.reader(io.StringIO(data["table"]), delimiter=data.get("separator", ",")))
    expected = {
        field: tuple(answers) if isinstance(answers, list) else (answers,)
        for field, answers in data["expected"].items()
    }
    width = len(lines[0])
    if path.stem != data["name"] or any(len(line) != width for line in lines):
        raise ValueError(f"{path.name}: the name or a row does not fit")
    target = TARGETS[data["target"]]
    for field, answers in expected.items():
        target.field(field)
        if unknown := {answer for answer in answers if answer is not None} - set(lines[0]):
            raise ValueError(f"{path.name}: {field} expects {unknown}, which is no column")
    return Feed(
        data["name"], data["source"], data["target"], tuple(lines[0]), tuple(map(tuple, lines[1:])), expected
    )


@cache
def _database() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    types.register(connection)
    return connection


def profile_of(feed: Feed, order: Sequence[int] | None = None) -> Profile:
    """The feed's profile, its columns in the order given."""
    order = order or range(len(feed.header))
    connection = _database().cursor()
    names = [feed.header[i] for i in order]
    columns = ", ".join('"' + name.replace('"', '""') + '" VARCHAR' for name in names)
    connection.execute(f"CREATE TEMP TABLE feed ({columns})")
    rows = [[row[i] or None for i in order] for row in feed.rows]
    connection.executemany(f"INSERT INTO feed VALUES ({', '.join('?' * len(names))})", rows)
    found = profile(connection, "feed", names)
    connection.close()
    return found


def score(feed: Feed, *, show: bool = False) -> Tally:
    """How the suggestion does on one feed."""
    held = profile_of(feed)
    suggestion = suggest(held, TARGETS[feed.target])
    best = suggest_target(held, TARGETS.values())[0].target
    proposed = right = wanted = found = 0
    lines: list[str] = []
    for field in suggestion.fields:
        answers = feed.expected.get(field.field, (None,))
        given = field.best.source if field.accepted and field.best else None
        if field.derived and field.field not in feed.expected:
            continue
        if field.derived and given not in answers:
            given = None
        if None not in answers:
            wanted += 1
            found += given in answers
        if given is not None:
            proposed += 1
            right += given in answers
        if given not in answers:
            offered = (
                f"{field.best.source} {field.best.score} {field.best.reasons}" if field.best else "nothing"
            )
            lines.append(f"  {field.field}: expected {answers}, got {offered}, runner-up {field.runner_up}")
    if best != feed.target:
        lines.append(f"  target: expected {feed.target}, got {best}")
    if show and lines:
        print(feed.name, *lines, sep="\n")
    return Tally(1, proposed, right, wanted, found, int(best == feed.target))


def figures(feeds: Iterable[Feed]) -> dict[str, Tally]:
    """The tally of each half and of all."""
    parts = {"development": Tally(), "held-out": Tally()}
    for feed in feeds:
        parts[feed.part] += score(feed)
    return {**parts, "all": parts["development"] + parts["held-out"]}


def table(found: dict[str, Tally]) -> str:
    """The figures as a Markdown table."""
    lines = [
        "| feeds | | pairs proposed | right | precision | pairs to find | found | recall | target model recognised |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {t.feeds} | {t.proposed} | {t.right} | {t.precision:.3f} | {t.wanted} | {t.found} "
        f"| {t.recall:.3f} | {t.targets} of {t.feeds} |"
        for name, t in found.items()
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--show", choices=("development", "held-out"))
    options = parser.parse_args()
    feeds = read_feeds()
    if options.show:
        for feed in feeds:
            if feed.part == options.show:
                score(feed, show=True)
    text = table(figures(feeds))
    print(text)
    if options.write:
        page = DOCUMENT.read_text(encoding="utf-8")
        before, _, rest = page.partition(BEGIN)
        DOCUMENT.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    main()
