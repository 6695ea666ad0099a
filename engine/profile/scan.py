"""The scans behind a profile: everything is counted by DuckDB, in passes that take many columns together.

A pass lays columns out as cells, one a row and a column, and counts them by column. So the number of
statements depends on what the columns hold, not on how many there are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any
from uuid import uuid4

import duckdb

from engine import types
from engine.profile import shapes
from engine.profile.facts import Column, DateFormat, MaskCount, Numbers, Outlier, Profile, ValueCount
from engine.profile.shapes import quoted

SAMPLE_ROWS = 10_000
SAMPLE_VALUES = 200
MASK_DISTINCT = 50_000
TOP = 20
BINS = 20
# Columns laid out at a time: their cells of 2,048 rows stand in memory at once.
_TOGETHER = 100
# Different values are held while they are counted, so of long columns fewer are counted at a time.
_CELLS = 2_000_000
# Up to so many columns, each gets its full share of sampled values.
_AMPLE = 40
# A cell that holds a value worth the name.
_HELD = f"v <> '' AND NOT {shapes.placeholder('v')}"


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
        for table in (scan.sample, scan.values):
            connection.execute(f"DROP TABLE IF EXISTS {table}")


class _Scan:
    """One profile being made. `facts` collects what each column's model is built of.

    Within the statements a column is its place among the fields, `c`, and a cell's text is `v`.
    """

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, relation: str, fields: Sequence[str], ordinal: str | None
    ) -> None:
        is_query = relation.lstrip().lower().startswith(("select ", "with ", "from ", "select\n"))
        self.connection = connection
        self.source = f"({relation})" if is_query else relation
        self.fields = tuple(fields)
        self.ordinal = ordinal or "row_number() OVER () - 1"
        name = f"spire_profile_{uuid4().hex}"
        self.sample, self.values = f"{name}_rows", f"{name}_values"
        self.facts: list[dict[str, Any]] = [{"name": name} for name in self.fields]
        self.rows = 0

    def run(self) -> Profile:
        self.rows = self.query(f"SELECT count(*) FROM {self.source}")[0][0]
        for fact in self.facts:
            fact["rows"] = self.rows
        if self.rows and self.fields:
            self.count()
            self.count_values()
            self.take_sample()
            self.find_shapes()
            self.find_dates()
            self.choose_types()
            self.test_types()
            self.count_masks()
            self.spread()
        return Profile(rows=self.rows, columns=tuple(Column.model_validate(fact) for fact in self.facts))

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(sql).fetchall()

    def cells(self, places: Sequence[int], value: str = "{}", *, numbered: bool = False) -> str:
        """SQL for the cells of some columns: c, v and, where asked for, the row's ordinal o."""
        names = [quoted(self.fields[place]) for place in places]
        listed = ", ".join(value.format(name) for name in names)
        laid = f"unnest([{', '.join(map(str, places))}]) AS c, unnest([{listed}]) AS v"
        if not numbered:
            return f"(SELECT {laid} FROM {self.source})"
        rows = f"(SELECT {self.ordinal} AS _spire_row, {', '.join(names)} FROM {self.source})"
        return f"(SELECT _spire_row AS o, {laid} FROM {rows})"

    def together(self, wanted: Callable[[int], bool], most: int = _TOGETHER) -> Iterator[list[int]]:
        """The columns that are wanted, some at a time."""
        places = [place for place in range(len(self.fields)) if wanted(place)]
        for start in range(0, len(places), most):
            yield places[start : start + most]

    def counted_together(self) -> int:
        """How many columns' different values can be held at once."""
        return min(_TOGETHER, max(1, _CELLS // self.rows))

    def filled(self, place: int) -> int:
        """Rows of a column that hold a value worth the name."""
        fact = self.facts[place]
        return int(fact["rows"] - fact["nulls"] - fact["empties"] - fact["placeholders"])

    def count(self) -> None:
        """Nulls, empties, placeholders, lengths."""
        for places in self.together(lambda _: True):
            for place, filled, empty, none, shortest, longest in self.query(
                f"SELECT c, count(v), count(*) FILTER (v = ''), count(*) FILTER ({shapes.placeholder('v')}), "
                f"min(length(v)), max(length(v)) FROM {self.cells(places)} GROUP BY c"
            ):
                self.facts[place] |= {
                    "nulls": self.rows - filled,
                    "empties": empty,
                    "placeholders": none,
                    "shortest": shortest or 0,
                    "longest": longest or 0,
                }

    def count_values(self) -> None:
        """How many different values there are, and those that stand in most rows."""
        for places in self.together(
            lambda at: bool(self.filled(at) or self.facts[at]["placeholders"]), self.counted_together()
        ):
            counted = f"SELECT c, v, count(*) AS n FROM {self.cells(places)} WHERE v <> '' GROUP BY c, v"
            for place, distinct, top in self.query(
                f"SELECT c, count(*), min({{'less': -n, 'v': v}}, {TOP}) FROM ({counted}) GROUP BY c"
            ):
                self.facts[place]["distinct"] = distinct
                self.facts[place]["top"] = tuple(
                    ValueCount(value=each["v"][:500], count=-each["less"]) for each in top
                )

    def take_sample(self) -> None:
        """Keep some whole rows, chosen by the hash of their ordinal, as cells with trimmed values."""
        step = max(1, self.rows // SAMPLE_ROWS)
        columns = ", ".join(map(quoted, self.fields))
        numbered = f"SELECT {self.ordinal} AS _spire_row, {columns} FROM {self.source}"
        picked = f"SELECT * FROM ({numbered}) WHERE hash(_spire_row) % {step} = 0"
        if step > 1:
            # The ends of a file are where its strange rows are.
            picked += f" OR _spire_row < 100 OR _spire_row >= {self.rows - 100}"
        trimmed = ", ".join(f"trim({quoted(name)})" for name in self.fields)
        self.connection.execute(
            f"CREATE TEMP TABLE {self.sample} AS SELECT * FROM (SELECT "
            f"unnest([{', '.join(map(str, range(len(self.fields))))}]) AS c, unnest([{trimmed}]) AS v "
            f"FROM ({picked})) WHERE {_HELD}"
        )

    def find_shapes(self) -> None:
        """What the sampled values are at first sight, distinct examples, and the kinds they fit."""
        for place, tag, n in self.query(
            f"SELECT c, {shapes.shape('v')} AS tag, count(*) FROM {self.sample} "
            "GROUP BY ALL ORDER BY c, count(*) DESC, tag"
        ):
            self.facts[place].setdefault("shapes", {})[tag] = n
        limit = max(25, SAMPLE_VALUES * _AMPLE // max(_AMPLE, len(self.fields)))
        self.connection.execute(
            f"CREATE TEMP TABLE {self.values} AS "
            f"SELECT c, v FROM (SELECT DISTINCT c, v FROM {self.sample} WHERE length(v) <= 2000) "
            f"QUALIFY row_number() OVER (PARTITION BY c ORDER BY hash(v), v) <= {limit}"
        )
        for place, found in self.query(
            f"SELECT c, list(v ORDER BY hash(v), v) FROM {self.values} GROUP BY c"
        ):
            self.facts[place]["samples"] = tuple(found)
        kinds = sorted(types.KINDS)
        for some in (kinds[i : i + 15] for i in range(0, len(kinds), 15)):
            tests = ", ".join(f"avg(({shapes.is_type('v', kind)})::INT)" for kind in some)
            for place, *shares in self.query(f"SELECT c, {tests} FROM {self.values} GROUP BY c"):
                fits = self.facts[place].setdefault("fits", {})
                fits |= {kind: round(share, 4) for kind, share in zip(some, shares, strict=True) if share}

    def find_dates(self) -> None:
        """Which date formats read the sample; `test_types` counts them on all rows."""
        for forms in (("iso", *shapes.DATE_FORMATS), (*shapes.EPOCHS, "%Y%m%d")):
            places = [place for place in range(len(self.fields)) if self.forms_of(place) == forms]
            if not places:
                continue
            tests = ", ".join(f"count(*) FILTER ({shapes.reads_as('v', form)})" for form in forms)
            among = ", ".join(map(str, places))
            for place, *counts in self.query(
                f"SELECT c, {tests} FROM {self.sample} WHERE c IN ({among}) GROUP BY c"
            ):
                found = {form: n for form, n in zip(forms, counts, strict=True) if n}
                if forms[0] != "iso":
                    # A plain integer is a date only where nearly all of them are.
                    total = sum(self.facts[place]["shapes"].values())
                    found = {form: n for form, n in found.items() if n >= 0.95 * total}
                self.facts[place]["_forms"] = tuple(found)

    def forms_of(self, place: int) -> tuple[str, ...]:
        """The date formats worth trying on a column."""
        tags = self.facts[place].get("shapes", {})
        total = sum(tags.values())
        dated = tags.get("date", 0) + tags.get("timestamp", 0)
        if total and dated >= 0.2 * total:
            return ("iso", *shapes.DATE_FORMATS)
        if tags.get("integer", 0) >= 0.9 * total > 0:
            return (*shapes.EPOCHS, "%Y%m%d")
        return ()

    def choose_types(self) -> None:
        for fact in self.facts:
            fact["type"] = _choose(fact.get("shapes", {}), fact.get("_forms", ()))

    def test_types(self) -> None:
        """Count on all rows what is of the chosen type, the outliers, the formats, zeros and mangling.

        Columns of one type stand in one statement: the tests of a type are long expressions to plan.
        """
        asked = sorted(
            (self.facts[place]["type"], self.facts[place].pop("_forms", ()), place)
            for place in range(len(self.fields))
            if self.filled(place)
        )
        for (kind, forms), some in groupby(asked, key=lambda one: one[:2]):
            forms = () if kind == "text" else forms
            wanted = {place for _, _, place in some}
            for places in self.together(wanted.__contains__):
                # Each test stands in one projection, so that the counts above it don't evaluate it again.
                cells = self.cells(places, "trim({})", numbered=True)
                rows = f"SELECT c, o, v, {', '.join(_tests(kind, forms))} FROM {cells} WHERE {_HELD}"
                for place, *answers in self.query(
                    f"SELECT c, {', '.join(_counts(kind, forms))} FROM ({rows}) GROUP BY c"
                ):
                    self.read_tests(place, forms, iter(answers))

    def read_tests(self, place: int, forms: Sequence[str], answers: Iterator[Any]) -> None:
        fact = self.facts[place]
        fact["mangled"], fact["leading_zeros"] = next(answers), next(answers)
        if fact["type"] == "text":
            fact["matching"] = self.filled(place)
            return
        fact["matching"], fact["outliers"] = next(answers), next(answers)
        fact["outlier_examples"] = tuple(Outlier(**found) for found in next(answers) or ())
        found = [
            DateFormat(format=form, rows=next(answers), alone=next(answers), example=next(answers) or "")
            for form in forms
        ]
        fact["dates"] = _needed(found)
        # Undecided: two readings read the very same rows, and no row speaks for either.
        full = [date for date in fact["dates"] if date.rows and not date.alone]
        fact["ambiguous_dates"] = len(full) > 1

    def count_masks(self) -> None:
        """The patterns that stand in most rows: of all values, or of the sample's where there are too many."""
        few = [fact.get("distinct", 0) <= MASK_DISTINCT for fact in self.facts]
        for places in self.together(lambda at: self.filled(at) > 0 and few[at], self.counted_together()):
            self.read_masks(
                f"SELECT c, v, count(*) AS n FROM {self.cells(places)} WHERE v <> '' GROUP BY c, v"
            )
        for places in self.together(lambda at: self.filled(at) > 0 and not few[at]):
            self.read_masks(
                f"SELECT c, v, 1 AS n FROM {self.sample} WHERE c IN ({', '.join(map(str, places))})"
            )

    def read_masks(self, values: str) -> None:
        masks = f"SELECT c, {shapes.mask('v')} AS m, sum(n)::BIGINT AS n FROM ({values}) GROUP BY ALL"
        for place, top, of in self.query(
            f"SELECT c, min({{'less': -n, 'm': m}}, {TOP}), sum(n)::BIGINT FROM ({masks}) GROUP BY c"
        ):
            self.facts[place]["masks"] = tuple(MaskCount(mask=m["m"], count=-m["less"]) for m in top)
            self.facts[place]["masks_of"] = of

    def spread(self) -> None:
        """Quantiles, then bins between the ends, of the columns that are numbers."""
        steps = "[" + ", ".join(f"{i / 20:.2f}" for i in range(21)) + "]"
        for places in self.together(lambda at: self.facts[at]["type"] in ("integer", "number")):
            cells = self.cells(places, "TRY_CAST(replace({}, ',', '.') AS DOUBLE)")
            ends = {
                place: (low, high, quantiles)
                for place, low, high, quantiles in self.query(
                    f"SELECT c, min(v), max(v), approx_quantile(v, {steps}) FROM {cells} GROUP BY c"
                )
                if low is not None and math.isfinite(high - low)
            }
            if not ends:
                continue
            known = ", ".join(
                f"({place}, {low!r}::DOUBLE, {_width(low, high)!r}::DOUBLE)"
                for place, (low, high, _) in ends.items()
            )
            bins = {
                (place, bin): n
                for place, bin, n in self.query(
                    f"SELECT c, least({BINS - 1}, floor((v - low) / width))::INT AS bin, count(*) FROM {cells} "
                    f"JOIN (VALUES {known}) AS ends (c, low, width) USING (c) WHERE v IS NOT NULL GROUP BY ALL"
                )
            }
            for place, (low, high, quantiles) in ends.items():
                self.facts[place]["numbers"] = Numbers(
                    lowest=low,
                    highest=high,
                    quantiles=tuple(quantiles),
                    bins=tuple(bins.get((place, bin), 0) for bin in range(BINS)),
                )


def _tests(kind: str, forms: Sequence[str]) -> list[str]:
    """What is asked of each cell: z leading zero, m mangled, h of the type, f0… of each date format."""
    tests = [
        f"CASE WHEN left(v, 1) = '0' THEN {shapes.is_type('v', 'integer')} AND length(v) > 1 END AS z",
        f"CASE WHEN contains(upper(right(v, 5)), 'E+') THEN {shapes.is_type('v', 'mangled')} END AS m",
    ]
    if forms:
        return [*tests, *(f"{shapes.reads_as('v', form)} AS f{j}" for j, form in enumerate(forms))]
    if kind != "text":
        tests.append(f"{shapes.is_type('v', kind)} AS h")
    return tests


def _counts(kind: str, forms: Sequence[str]) -> list[str]:
    """What is counted of the answers, in the order in which it is read."""
    counts = ["count(*) FILTER (m)", "count(*) FILTER (z)"]
    if kind == "text":
        return counts
    reads = [f"f{j}" for j in range(len(forms))]
    holds = f"coalesce({' OR '.join(reads) or 'h'}, false)"
    counts += [
        f"count(*) FILTER ({holds})",
        f"count(*) FILTER (NOT {holds})",
        f"arg_min({{'row': o, 'value': left(v, 200)}}, o, 5) FILTER (NOT {holds})",
    ]
    for j, read in enumerate(reads):
        others = " OR ".join(reads[:j] + reads[j + 1 :])
        alone = f"{read} AND NOT ({others})" if others else read
        counts += [f"count(*) FILTER ({read})", f"count(*) FILTER ({alone})", f"min(v) FILTER ({read})"]
    return counts


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
