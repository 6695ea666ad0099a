"""The findings of a profile, as plain data a page or a file can hold."""

from __future__ import annotations

from engine.model import Data


class ValueCount(Data):
    """A value and in how many rows it stands. Long values are cut to 500 characters."""

    value: str
    count: int


class MaskCount(Data):
    """A pattern mask (`A9-9.9`) and in how many of `Column.masks_of` rows it stands."""

    mask: str
    count: int


class DateFormat(Data):
    """One way to read the dates of a column: `iso`, `epoch`, `epoch_ms` or a strptime format.

    `rows` read so; `alone` is how many of them no other reading found here could read.
    """

    format: str
    rows: int
    alone: int = 0
    example: str = ""


class Outlier(Data):
    """A value that is not of its column's type, and the ordinal of its row."""

    row: int
    value: str


class Numbers(Data):
    """The spread of a numeric column: quantiles from 0 to 1 in twentieths, and 20 equal-width bins."""

    lowest: float
    highest: float
    quantiles: tuple[float, ...]
    bins: tuple[int, ...] = ()


class Column(Data):
    """What one column holds.

    `filled` are the rows that are neither null, empty nor a placeholder such as `-` or `n/a`; shares and
    outliers speak of those. `type` is a kind of `engine.types`, `indicator` where several kinds of
    indicator mix, or one of integer, number, boolean, date, timestamp, json, tlp, text, empty.
    `shapes` says what a sample of the rows is made of, `fits` what share of `samples` each kind accepts.
    """

    name: str
    rows: int
    nulls: int = 0
    empties: int = 0
    placeholders: int = 0
    distinct: int = 0
    shortest: int = 0
    longest: int = 0
    top: tuple[ValueCount, ...] = ()
    masks: tuple[MaskCount, ...] = ()
    masks_of: int = 0
    type: str = "text"
    matching: int = 0
    outliers: int = 0
    outlier_examples: tuple[Outlier, ...] = ()
    shapes: dict[str, int] = {}
    dates: tuple[DateFormat, ...] = ()
    ambiguous_dates: bool = False
    leading_zeros: int = 0
    mangled: int = 0
    numbers: Numbers | None = None
    samples: tuple[str, ...] = ()
    fits: dict[str, float] = {}

    @property
    def filled(self) -> int:
        """How many rows hold a value worth the name."""
        return self.rows - self.nulls - self.empties - self.placeholders

    @property
    def share(self) -> float:
        """What share of the filled rows is of the column's type, 0 to 1."""
        return self.matching / self.filled if self.filled else 0.0

    @property
    def evidence(self) -> str:
        """The type with its proof, for a person: `98.7 % ipv4, 41 outliers`."""
        if not self.filled:
            return "no values"
        if self.type == "text":
            return "text"
        # Rounded down, so that 100 % is never claimed with outliers beside it.
        percent = int(self.share * 1000) / 10
        words = f"{percent:g} % {self.type}"
        if self.outliers:
            words += f", {self.outliers:,} outlier{'s' if self.outliers != 1 else ''}"
        return words


class Profile(Data):
    """What a relation holds: its rows, and its columns in their order."""

    rows: int
    columns: tuple[Column, ...]

    def column(self, name: str) -> Column:
        """The column of that name; KeyError where there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)
