"""What databases have in common: how one is reached, what of it is read, how it is handed over, and how a check goes.

Each database's own module says the rest in its own tongue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Annotated, BinaryIO, Generic, Literal, Protocol, TypeVar

import sqlglot
from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator
from sqlglot import exp

from connectors import slices
from connectors.abreast import Reader, ahead, grouped, joined
from connectors.addresses import Resolve, checked, resolve
from connectors.registry import Reach
from connectors.stages import failed, leads
from engine.errors import Retry, SpireError, Stop
from engine.ports import Cursor, Payload, Stage

CSV = "text/csv"
# Rows to a payload: what one cursor stands for.
ROWS = 250_000
# Rows to a range of a table that several connections read, and ranges to a payload of it.
RANGE, RANGES = 25_000, 4
# Tables or collections that are listed to choose from.
PLACES = 1_000


class Unreachable(Retry):
    """The database did not answer. We will try again at the next run."""


class Turned(Stop):
    """The database refused the connection."""


class NotReadable(Stop):
    """This table, collection or query can't be read."""


class Broke(Retry):
    """The database ended the connection while it was read. We will go on at the next run."""


# ── what a database asks for ─────────────────────────────────────────────────────────────────────────


class Server(BaseModel):
    """Which server, which database of it, and how to sign in."""

    model_config = ConfigDict(extra="forbid")

    host: str = Field(description="Name or address of the server.", min_length=1, max_length=255)
    port: int = Field(json_schema_extra={"further": True}, ge=1, le=65535, description="Port of the server.")
    database: str = Field(description="Name of the database.", min_length=1, max_length=64)
    username: str = Field(description="Account to sign in with; to read, one that may only read is best.")
    password: SecretStr = Field(default=SecretStr(""), description="The account's password.")
    tls: Literal["verify-full", "require", "disable"] = Field(
        json_schema_extra={
            "meanings": {
                "verify-full": "encrypted, and the server proves who it is",
                "require": "encrypted, whoever answers",
                "disable": "in the clear",
            }
        },
        title="TLS",
        default="verify-full",
        description="verify-full proves who the server is; require encrypts only; disable does neither.",
    )
    authority: str = Field(
        json_schema_extra={"further": True, "lines": 4},
        default="",
        description="Certificate of the authority to trust (PEM), where it is a private one.",
    )
    certificate: SecretStr = Field(
        json_schema_extra={"further": True, "lines": 4},
        default=SecretStr(""),
        description="Our certificate and its key (PEM), where the server asks for one.",
    )

    @property
    def place(self) -> str:
        """Where it is, for whoever reads an error."""
        return f"{self.host}:{self.port}"

    @property
    def secured(self) -> str:
        """How the connection goes, in words."""
        return "without TLS" if self.tls == "disable" else "over TLS"


# `reading` marks what says how to read: whoever only writes isn't asked for it.
Grows = Annotated[
    str,
    Field(
        json_schema_extra={"reading": True},
        max_length=200,
        description="What grows with every change, such as updated_at; without one each run reads everything.",
    ),
]
Overlap = Annotated[
    float,
    Field(
        json_schema_extra={"further": True, "reading": True},
        ge=0,
        description="How far before the last value to read again: seconds for times, units for numbers.",
    ),
]
Connections = Annotated[
    int,
    Field(
        json_schema_extra={"further": True, "reading": True},
        ge=1,
        le=8,
        description="Connections that read a whole table side by side, by ranges of its key.",
    ),
]


class Tables(Server):
    """A server of tables: what to read is a table or a query."""

    username: str = Field(
        description="Account to sign in with; to read, one that may only read is best.", min_length=1
    )
    table: str = Field(
        default="", description="Table or view, with its schema where it needs one.", max_length=200
    )
    query: str = Field(
        json_schema_extra={"lines": 4, "reading": True},
        default="",
        description="A SELECT, in place of a table.",
        max_length=20_000,
    )
    columns: list[str] = Field(
        json_schema_extra={"reading": True},
        default=[],
        description="Columns to read; none means all of them.",
    )
    cursor: Grows = ""
    overlap: Overlap = 300.0
    connections: Connections = 1

    @model_validator(mode="after")
    def _one_of_them(self) -> Tables:
        if bool(self.table) == bool(self.query):
            raise ValueError("give a table or a query, and not both")
        return self

    def into(self, dialect: str) -> list[str]:
        """The parts of the table's name, where records are to be put into it."""
        if not self.table:
            raise NotReadable("Nothing can be put into a query.", action="Name a table.")
        return parts_of(self.table, dialect)


# ── what is read ─────────────────────────────────────────────────────────────────────────────────────


class Named(Protocol):
    """Anything with a name, such as a column."""

    @property
    def name(self) -> str: ...


ColumnT = TypeVar("ColumnT", bound=Named)
SourceT = TypeVar("SourceT")


@dataclass(frozen=True)
class Relation(Generic[SourceT, ColumnT]):
    """What is read: a FROM item and its columns; a name that stands twice would be one column of two."""

    source: SourceT
    columns: tuple[ColumnT, ...]

    def __post_init__(self) -> None:
        if len({column.name for column in self.columns}) < len(self.columns):
            raise NotReadable("Two columns have the same name.", action="Name them apart with AS.")

    def column(self, name: str) -> ColumnT:
        """The column of that name; NotReadable where there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise NotReadable(
            f"There is no column {name}.", action=f"There are: {', '.join(c.name for c in self.columns)}."
        )

    def chosen(self, config: Tables) -> list[ColumnT]:
        """The columns to read: those asked for and the one that is followed, or all."""
        names = [*config.columns, *([config.cursor] if config.cursor and config.columns else [])]
        return [self.column(name) for name in dict.fromkeys(names)] or list(self.columns)


def parts_of(name: str, dialect: str) -> list[str]:
    """The parts of a table's name, outermost first, read as the dialect quotes."""
    try:
        return [part.name for part in exp.to_table(name, dialect=dialect).parts]
    except sqlglot.errors.SqlglotError:
        raise NotReadable(f"{name} is no name of a table.", action="Write schema.table.") from None


def one_select(text: str, dialect: str) -> str:
    """The text, where it is one SELECT that writes nothing; NotReadable where it is anything else."""
    try:
        parsed = sqlglot.parse(text, dialect=dialect)
    except sqlglot.errors.SqlglotError:
        raise NotReadable(
            "This query is not one that can be understood.", action="Write one SELECT."
        ) from None
    if len(parsed) != 1 or not isinstance(parsed[0], exp.Query) or parsed[0].find(exp.Into):
        raise NotReadable("This query is no SELECT.", action="Write one SELECT, and nothing else.")
    return text.strip().rstrip(";")


# ── what is handed over ──────────────────────────────────────────────────────────────────────────────


ConditionT = TypeVar("ConditionT")
RangeT_co = TypeVar("RangeT_co", covariant=True)


def payloads(
    config: Tables,
    slices: Iterable[tuple[ConditionT, Cursor | None]],
    rows: Callable[[ConditionT], BinaryIO],
) -> Iterator[Payload]:
    """Each slice as CSV, with the cursor after it."""
    for number, (condition, after) in enumerate(slices, 1):
        # The slices of a whole read are one table, whichever of them a row stands in.
        part = f"-{number}" if after is not None and config.cursor else ""
        stream = rows(condition)
        yield Payload(f"{config.table or 'query'}{part}.csv", stream, after, CSV)
        while stream.read(1 << 20):
            pass  # what was not wanted still has to pass before the next question


class Ranges(Protocol[RangeT_co]):
    """The ranges of a key behind a value, of so many rows each, and the value each reaches."""

    def __call__(self, since: str | None, *, rows: int) -> Iterator[tuple[RangeT_co, str | None]]: ...


def ranges(
    since: Cursor | None, key: str, by: Ranges[ConditionT]
) -> Iterator[tuple[Sequence[ConditionT] | None, Cursor | None]]:
    """What to read by several connections: some ranges of the key at a time, with the cursor after them."""
    return slices.cut(since, key, lambda value: grouped(by(value, rows=RANGE), RANGES))


def abreast(
    config: Tables,
    groups: Iterator[tuple[Sequence[ConditionT] | None, Cursor | None]],
    opened: Reader[ConditionT],
    whole: Callable[[], BinaryIO],
) -> Iterator[Payload]:
    """Each group of ranges as CSV, read by several connections; or the whole table, where it is small."""
    with ahead(groups, opened, config.connections) as found:
        yield from payloads(config, found, lambda group: joined(group) if group else whole())


# ── how a check goes ─────────────────────────────────────────────────────────────────────────────────

ConfigT = TypeVar("ConfigT", bound=Server)
ConnectionT = TypeVar("ConnectionT")
Opened = Callable[[ConfigT, Reach, Resolve], AbstractContextManager[ConnectionT]]
Step = Callable[[ConnectionT, ConfigT], str | None]

ADVICE = {
    "name": "Check the server's name.",
    "sign-in": "Check the server, the account and TLS.",
    "permission": "Check the name, and that this account may read it.",
    "cursor": "Choose what grows with every change, or nothing.",
    "first row": "Check that this account may read it.",
}


def checking(
    config: ConfigT,
    reach: Reach,
    opened: Opened[ConfigT, ConnectionT],
    steps: Mapping[str, Step[ConnectionT, ConfigT]],
    told: Callable[[Exception, ConfigT], SpireError],
    failing: type[Exception],
) -> Iterator[Stage]:
    """The name, then each step in order, the first of them the sign-in; each failure with what to do.

    A step that says None had nothing to do. `told` puts the driver's errors, `failing`, into our words.
    """
    stage = "name"
    try:
        addresses = checked(config.host, config.port, reach.hosts)
        yield Stage("name", True, leads(config.host, addresses))
        stage = next(iter(steps))
        with opened(config, reach, resolve) as connection:
            for stage, step in steps.items():
                detail = step(connection, config)
                if detail is not None:
                    yield Stage(stage, True, detail)
    except (SpireError, failing) as error:
        ours = error if isinstance(error, SpireError) else told(error, config)
        yield failed(stage, ours, ADVICE.get(stage, ""))


def wrong_certificate(config: Server) -> Turned:
    return Turned(
        f"{config.place}: The server's certificate is not trusted.",
        action="Give its authority's certificate (PEM).",
    )


def no_tls(config: Server) -> Turned:
    return Turned(
        f"{config.place}: TLS could not be agreed on.",
        action="Set TLS to disable if the network is trusted.",
    )
