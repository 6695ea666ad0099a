"""The scans behind a profile: everything is counted by DuckDB, a few passes for all columns together."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import uuid4

import duckdb

from engine import types
from engine.profile import shapes
from engine.profile.facts import Column, DateFormat, MaskCount, Numbers, Outlier, Profile, ValueCount
from engine.profile.shapes import literal, quoted

SAMPLE_ROWS = 10_000
SAMPLE_VALUES = 200
MASK_DISTINCT = 50_000
TOP = 20
BINS = 20
# So many columns in one statement keep its planning short and its memory small.
_TOGETHER = 40
# The tests of a type are long expressions, and planning them costs more than their number squared.
_TESTED_TOGETHER = 4


def profile(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    fields: Sequence[str],
    *,
    ordinal: str | None = None,
) -> Profile:
    """Profile the VARCHAR columns `fields` of a table, a view or a SELECT.

    Nulls, lengths, top values, types, outliers, dates and numbers are counted on all rows; masks too,
    unless a column has over 50,000 different values: then on a fixed sample (`Column.masks_of`).
    `ordinal` is an SQL expression that numbers the rows (`rowid`, `_ord`); without it they are numbered
    from 0 in the order DuckDB yields them. The same rows give the same profile.
    """
    scan = _Scan(connection, relation, fields, ordinal)
    try:
        return scan.run()
    finally:
        connection.execute(f"DROP TABLE IF EXISTS {scan.sample}")


def _grouped(names: Sequence[str], size: int = _TOGETHER) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), size):
        yield names[start : start + size]


class _Scan:
    """One profile being made. `facts` collects what each column's model is built of."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, relation: str, fields: Sequence[str], ordinal: str | None
    ) -> None:
        is_query = relation.lstrip().lower().startswith(("select ", "with ", "from ", "select\n"))
        self.connection = connection
        self.source = f"({relation})" if is_query else relation
        self.fields = tuple(fields)
        self.ordinal = ordinal or "row_number() OVER () - 1"
        self.sample = f"spire_profile_{uuid4().hex}"
        self.facts: dict[str, dict[str, Any]] = {name: {"name": name} for name in self.fields}
        self.rows = 0

    def run(self) -> Profile:
        self.count()
        if self.rows and self.fields:
            self.take_sample()
            self.find_shapes()
            self.find_dates()
            self.choose_types()
            self.test_types()
            self.count_masks()
            self.spread()
        columns = tuple(Column.model_validate(self.facts[name]) for name in self.fields)
        return Profile(rows=self.rows, columns=columns)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(sql).fetchall()

    def count(self) -> None:
        """Rows, nulls, empties, placeholders, distinct, lengths, top values."""
        for names in _grouped(self.fields) if self.fields else [()]:
            parts = ["count(*)"]
            for name in names:
                v = quoted(name)
                parts += [
                    f"count({v})",
                    f"count(*) FILTER ({v} = '')",
                    f"count(*) FILTER ({shapes.placeholder(v)})",
                    f"approx_count_distinct({v})",
                    f"min(length({v}))",
                    f"max(length({v}))",
                ]
            row = self.query(f"SELECT {', '.join(parts)} FROM {self.source}")[0]
            self.rows = row[0]
            for i, name in enumerate(names):
                filled, empty, none, distinct, shortest, longest = row[1 + 6 * i : 7 + 6 * i]
                self.facts[name] |= {
                    "rows": self.rows,
                    "nulls": self.rows - filled,
                    "empties": empty,
                    "placeholders": none,
                    "distinct": min(distinct, filled),
                    "shortest": shortest or 0,
                    "longest": longest or 0,
                }
        for name in self.fields:
            if self.filled(name) or self.facts[name]["placeholders"]:
                self.count_values(name)

    def filled(self, name: str) -> int:
        """Rows of a column that hold a value worth the name."""
        fact = self.facts[name]
        return int(fact["rows"] - fact["nulls"] - fact["empties"] - fact["placeholders"])

    def count_values(self, name: str) -> None:
        v = quoted(name)
        counted = self.query(
            f"SELECT left({v}, 500), count(*) AS n FROM {self.source} WHERE {v} <> '' "
            f"GROUP BY {v} ORDER BY n DESC, {v} LIMIT {TOP}"
        )
        self.facts[name]["top"] = tuple(ValueCount(value=value, count=n) for value, n in counted)

    def take_sample(self) -> None:
        """Keep some whole rows, chosen by the hash of their ordinal, as (column, row, trimmed value)."""
        step = max(1, self.rows // SAMPLE_ROWS)
        columns = ", ".join(quoted(name) for name in self.fields)
        numbered = f"SELECT {self.ordinal} AS _spire_row, {columns} FROM {self.source}"
        picked = f"SELECT * FROM ({numbered}) WHERE hash(_spire_row) % {step} = 0"
        if step > 1:
            # The ends of a file are where its strange rows are.
            picked += f" OR _spire_row < 100 OR _spire_row >= {self.rows - 100}"
        self.connection.execute(
            f"CREATE TEMP TABLE {self.sample} AS SELECT c, _spire_row AS o, trim(v) AS v "
            f"FROM ({picked}) UNPIVOT (v FOR c IN ({columns})) "
            f"WHERE trim(v) <> '' AND NOT {shapes.placeholder('trim(v)')}"
        )

    def find_shapes(self) -> None:
        """What the sampled values are at first sight, distinct examples, and the kinds they fit."""
        for name, tag, n in self.query(
            f"SELECT c, {shapes.shape('v')} AS tag, count(*) FROM {self.sample} "
            "GROUP BY ALL ORDER BY c, count(*) DESC, tag"
        ):
            self.facts[name].setdefault("shapes", {})[tag] = n
        limit = max(25, SAMPLE_VALUES * _TOGETHER // max(_TOGETHER, len(self.fields)))
        values = (
            f"SELECT c, v FROM (SELECT DISTINCT c, v FROM {self.sample} WHERE length(v) <= 2000) "
            f"QUALIFY row_number() OVER (PARTITION BY c ORDER BY hash(v), v) <= {limit}"
        )
        for name, found in self.query(f"SELECT c, list(v ORDER BY hash(v), v) FROM ({values}) GROUP BY c"):
            self.facts[name]["samples"] = tuple(found)
        kinds = sorted(types.KINDS)
        for some in (kinds[i : i + 15] for i in range(0, len(kinds), 15)):
            tests = ", ".join(f"avg(({shapes.is_type('v', kind)})::INT)" for kind in some)
            for name, *shares in self.query(f"SELECT c, {tests} FROM ({values}) GROUP BY c"):
                fits = self.facts[name].setdefault("fits", {})
                fits |= {kind: round(share, 4) for kind, share in zip(some, shares, strict=True) if share}

    def find_dates(self) -> None:
        """Which date formats read the sample; `test_types` counts them on all rows."""
        for name in self.fields:
            tags = self.facts[name].get("shapes", {})
            total = sum(tags.values())
            dated = tags.get("date", 0) + tags.get("timestamp", 0)
            if total and dated >= 0.2 * total:
                forms: tuple[str, ...] = ("iso", *shapes.DATE_FORMATS)
            elif tags.get("integer", 0) >= 0.9 * total > 0:
                forms = (*shapes.EPOCHS, "%Y%m%d")
            else:
                continue
            tests = ", ".join(f"count(*) FILTER ({shapes.reads_as('v', form)})" for form in forms)
            counts = self.query(f"SELECT {tests} FROM {self.sample} WHERE c = {literal(name)}")[0]
            found = {form: n for form, n in zip(forms, counts, strict=True) if n}
            if forms[0] != "iso":
                # A plain integer is a date only where nearly all of them are.
                found = {form: n for form, n in found.items() if n >= 0.95 * total}
            self.facts[name]["_forms"] = tuple(found)

    def choose_types(self) -> None:
        for name in self.fields:
            self.facts[name]["type"] = _choose(
                self.facts[name].get("shapes", {}), self.facts[name].get("_forms", ())
            )

    def test_types(self) -> None:
        """Count on all rows what is of the chosen type, the outliers, the formats, zeros and mangling."""
        for names in _grouped([name for name in self.fields if self.filled(name)], _TESTED_TOGETHER):
            tests: list[str] = []
            parts: list[str] = []
            for i, name in enumerate(names):
                tests += self.type_tests(name, i)
                parts += self.type_counts(name, i)
            trimmed = ", ".join(f"trim({quoted(name)}) AS v{i}" for i, name in enumerate(names))
            blanks = ", ".join(
                f"CASE WHEN v{i} = '' OR {shapes.placeholder(f'v{i}')} THEN NULL ELSE v{i} END AS v{i}"
                for i in range(len(names))
            )
            # Each test stands in one projection, so that the counts above it don't evaluate it again.
            rows = f"SELECT {self.ordinal} AS _spire_row, {trimmed} FROM {self.source}"
            rows = f"SELECT _spire_row, {blanks} FROM ({rows})"
            rows = f"SELECT _spire_row, {', '.join(f'v{i}' for i in range(len(names)))}, {', '.join(tests)} FROM ({rows})"
            answers = iter(self.query(f"SELECT {', '.join(parts)} FROM ({rows})")[0])
            for name in names:
                self.read_tests(name, answers)

    def type_tests(self, name: str, i: int) -> list[str]:
        """What is asked of each value: z leading zero, m mangled, h of the type, f0… of each date format."""
        fact, v = self.facts[name], f"v{i}"
        forms: tuple[str, ...] = fact.get("_forms", ())
        tests = [
            f"CASE WHEN left({v}, 1) = '0' THEN {shapes.is_type(v, 'integer')} AND length({v}) > 1 END AS z{i}",
            f"CASE WHEN contains(upper(right({v}, 5)), 'E+') THEN {shapes.is_type(v, 'mangled')} END AS m{i}",
        ]
        if forms:
            return [*tests, *(f"{shapes.reads_as(v, form)} AS f{i}_{j}" for j, form in enumerate(forms))]
        if fact["type"] != "text":
            tests.append(f"{shapes.is_type(v, fact['type'])} AS h{i}")
        return tests

    def type_counts(self, name: str, i: int) -> list[str]:
        fact, v = self.facts[name], f"v{i}"
        counts = [f"count(*) FILTER (m{i})", f"count(*) FILTER (z{i})"]
        if fact["type"] == "text":
            return counts
        reads = [f"f{i}_{j}" for j in range(len(fact.get("_forms", ())))]
        holds = f"coalesce({' OR '.join(reads) or f'h{i}'}, false)"
        counts += [
            f"count(*) FILTER ({v} IS NOT NULL AND {holds})",
            f"count(*) FILTER ({v} IS NOT NULL AND NOT {holds})",
            f"arg_min({{'row': _spire_row, 'value': left({v}, 200)}}, _spire_row, 5) FILTER ({v} IS NOT NULL AND NOT {holds})",
        ]
        for j, read in enumerate(reads):
            others = " OR ".join(reads[:j] + reads[j + 1 :])
            alone = f"{read} AND NOT ({others})" if others else read
            counts += [f"count(*) FILTER ({read})", f"count(*) FILTER ({alone})", f"min({v}) FILTER ({read})"]
        return counts

    def read_tests(self, name: str, answers: Iterator[Any]) -> None:
        fact = self.facts[name]
        fact["mangled"], fact["leading_zeros"] = next(answers), next(answers)
        if fact["type"] == "text":
            fact["matching"] = self.filled(name)
            fact.pop("_forms", None)
            return
        fact["matching"], fact["outliers"] = next(answers), next(answers)
        fact["outlier_examples"] = tuple(Outlier(**found) for found in next(answers) or ())
        found = [
            DateFormat(format=form, rows=next(answers), alone=next(answers), example=next(answers) or "")
            for form in fact.pop("_forms", ())
        ]
        fact["dates"] = _needed(found)
        # Undecided: two readings read the very same rows, and no row speaks for either.
        full = [date for date in fact["dates"] if date.rows and not date.alone]
        fact["ambiguous_dates"] = len(full) > 1

    def count_masks(self) -> None:
        for name in self.fields:
            if not self.filled(name):
                continue
            v = quoted(name)
            if self.facts[name]["distinct"] <= MASK_DISTINCT:
                values = f"SELECT {v} AS v, count(*) AS n FROM {self.source} WHERE {v} <> '' GROUP BY {v}"
            else:
                values = f"SELECT v, 1 AS n FROM {self.sample} WHERE c = {literal(name)}"
            counted = self.query(
                f"SELECT {shapes.mask('v')} AS m, sum(n)::BIGINT AS n, sum(sum(n)) OVER ()::BIGINT FROM ({values}) "
                f"GROUP BY m ORDER BY n DESC, m LIMIT {TOP}"
            )
            self.facts[name]["masks"] = tuple(MaskCount(mask=m, count=n) for m, n, _ in counted)
            self.facts[name]["masks_of"] = counted[0][2] if counted else 0

    def spread(self) -> None:
        """Quantiles, then bins between the ends, of the columns that are numbers."""
        names = [name for name in self.fields if self.facts[name]["type"] in ("integer", "number")]
        steps = "[" + ", ".join(f"{i / 20:.2f}" for i in range(21)) + "]"
        for some in _grouped(names):
            numbers = {name: f"TRY_CAST(replace({quoted(name)}, ',', '.') AS DOUBLE)" for name in some}
            parts = [f"min({n}), max({n}), approx_quantile({n}, {steps})" for n in numbers.values()]
            row = self.query(f"SELECT {', '.join(parts)} FROM {self.source}")[0]
            ends = {name: (row[3 * i], row[3 * i + 1], row[3 * i + 2]) for i, name in enumerate(some)}
            binned = [
                f"histogram(least({BINS - 1}, floor(({numbers[name]} - {low!r}) / {_width(low, high)!r}))::INT)"
                for name, (low, high, _) in ends.items()
                if low is not None and math.isfinite(high - low)
            ]
            counts = iter(self.query(f"SELECT {', '.join(binned)} FROM {self.source}")[0] if binned else ())
            for name, (low, high, quantiles) in ends.items():
                if low is None or not math.isfinite(high - low):
                    continue
                bins = next(counts) or {}
                self.facts[name]["numbers"] = Numbers(
                    lowest=low,
                    highest=high,
                    quantiles=tuple(quantiles),
                    bins=tuple(bins.get(i, 0) for i in range(BINS)),
                )


def _width(low: float, high: float) -> float:
    return (high - low) / BINS or 1.0


def _choose(tags: dict[str, int], forms: tuple[str, ...]) -> str:
    """The type most of a column's values are of: half of them at least, else text."""
    total = sum(tags.values())
    if not total:
        return "empty"
    tags = dict(tags)
    if forms and forms[0] not in ("iso", *shapes.DATE_FORMATS):
        return "date" if forms[0] == "%Y%m%d" else "timestamp"
    for narrow, wide in shapes.WIDER.items():
        # A few wide values make the whole column wide: 1 and 2.5 are numbers together.
        if narrow in tags and wide in tags:
            tags[wide] += tags.pop(narrow)
    best = max(sorted(tags), key=lambda tag: tags[tag])
    kinds = {tag: n for tag, n in tags.items() if tag not in shapes.PLAIN}
    together = sum(kinds.values())
    if best not in shapes.PLAIN and tags[best] >= 0.9 * together and tags[best] >= 0.5 * total:
        return best
    if together >= 0.5 * total:
        return "indicator"
    # Versions such as 17.4.1 read as dates here and there: a column of dates is nearly all dates.
    least = 0.8 if best in ("date", "timestamp") else 0.5
    return best if best != "mangled" and tags[best] >= least * total else "text"


def _needed(found: list[DateFormat]) -> tuple[DateFormat, ...]:
    """The readings worth showing: those that read a row no other can, or, with no such reading, all equals."""
    deciding = [date for date in found if date.alone]
    if deciding:
        kept = deciding
        covered = sum(date.alone for date in deciding)
        # Rows only an undecided pair can read still need one of the pair.
        most = max(date.rows for date in found)
        if most > covered:
            kept = [date for date in found if date.alone or date.rows == most]
    else:
        most = max((date.rows for date in found), default=0)
        kept = [date for date in found if date.rows == most and most]
    return tuple(sorted(kept, key=lambda date: -date.rows))
