"""The seams: what the run needs of a connector, a format, a landing zone and a store.

connectors and storage implement these and never meet; app puts them together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Protocol

import numpy as np

from engine.model import Shape, TargetModel

if TYPE_CHECKING:
    import pyarrow

Cursor = dict[str, object]


@dataclass(frozen=True)
class Payload:
    """What a connector hands over, untouched: a name, a stream of bytes, and the cursor after it."""

    name: str
    stream: BinaryIO
    cursor: Cursor | None = None
    media_type: str = ""


@dataclass(frozen=True)
class Segment:
    """A sealed payload in the landing zone. `size` is its plaintext length in bytes."""

    run: str
    number: int
    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Fault:
    """A piece of the source that is physically there and cannot be read as a row.

    `line` counts from 1 (physical line, sheet row, or object in order); `raw` are its bytes.
    """

    line: int
    raw: bytes
    reason: str


@dataclass(frozen=True)
class Chunk:
    """A bounded piece of a segment that DuckDB can read, every row of it good in form.

    `data` holds the rows: CSV in the dialect below (kind `csv`, no header line), one JSON object a
    line (kind `lines`), or one Parquet file (kind `parquet`). `rows` is how many; `lines[i]` is the
    physical position of row i in the source (1-based), or row i stands at `first_line + i` where
    `lines` is None. `raw(i)` gives a row's bytes as they stood in the source. `read` is what the piece
    physically holds: rows + faults. `columns` are the CSV's columns in order; `delimiter`, `quote`
    and `escape` its dialect. `longest` is the length of the longest row in bytes, 0 where nobody looked.
    `mark`, where there is one, stands around the numbers of JSON lines that were made strings so that they
    stay as they are written.

    A reader may take rows at their word where the database would stumble over any that is none:
    `prove`, where there is one, looks at every row and gives the piece as it really is. Whoever reads
    rows that carry one and meets an error, or another number of rows, reads the proven piece instead.
    """

    kind: Literal["csv", "lines", "parquet"]
    data: bytes | bytearray | memoryview
    rows: int
    first_line: int = 1
    lines: np.ndarray | None = None
    faults: tuple[Fault, ...] = ()
    columns: tuple[str, ...] = ()
    delimiter: str = ","
    quote: str = '"'
    escape: str = '"'
    raw: Callable[[Sequence[int]], list[bytes]] = field(default=lambda rows: [b"" for _ in rows])
    end: int = 0
    longest: int = 0
    mark: str = ""
    prove: Callable[[], Chunk] | None = None

    @property
    def read(self) -> int:
        """Rows and faults together: what the source physically holds here."""
        return self.rows + len(self.faults)

    @property
    def proven(self) -> Chunk:
        """The piece with every row looked at."""
        return self if self.prove is None else self.prove()


class Format(Protocol):
    """Reads payloads of one format. Stateless: what it learned is in the shape.

    `sniff` looks at the whole stream only if it must and never raises for strange data, only for
    data that is not of this format (None). `read` yields chunks of about `chunk_bytes`; the same bytes
    and shape give the same chunks every time, so an interrupted run can skip what it has committed.
    """

    name: str
    title: str

    def sniff(self, stream: BinaryIO, name: str) -> Shape | None: ...

    def read(self, stream: BinaryIO, shape: Shape, chunk_bytes: int = ...) -> Iterator[Chunk]: ...


@dataclass(frozen=True)
class Stage:
    """One stage of a connection check: what was tried, how it went, and what to do if it failed.

    `accept` are a setting and what, added to it, would let the stage hold: for a person to compare and decide.
    """

    name: str
    ok: bool
    detail: str = ""
    action: str = ""
    accept: tuple[str, str] | None = None


@dataclass(frozen=True)
class Held:
    """A column or field that is there, its type as the server calls it, and whether it is the key."""

    name: str
    type: str
    key: bool = False


@dataclass(frozen=True)
class Place:
    """A table, view or collection that this account may read: its name as the configuration takes it.

    `rows` is the server's own estimate, None where it has none.
    """

    name: str
    kind: str
    rows: int | None
    columns: tuple[Held, ...]


@dataclass(frozen=True)
class Gone:
    """A record that was delivered and is no longer what is published: its id, and what it became `there`.

    `there` is JSON, by the form it went in: the values of its key, `{"id", "own"}` of a STIX object (whether we
    made it), `{"event", "uuid"}` of a MISP attribute.
    """

    id: str
    there: str


@dataclass(frozen=True)
class Outgoing:
    """Records on their way to a sink: one target model's, of one publication, in three forms.

    All three give the same records in the same order, and each can be asked once. `batches` are typed
    columns named as the target's fields, `objects` STIX 2.1 objects, `events` MISP events. `key` are the
    fields that tell one record from another: a sink that meets a key again replaces what it has. `gone` is to be
    taken back there; what is not there any more is as good as that.
    """

    target: TargetModel
    key: tuple[str, ...]
    batches: Callable[[], Iterator[pyarrow.RecordBatch]] = field(default=lambda: iter(()))
    objects: Callable[[], Iterator[dict[str, Any]]] = field(default=lambda: iter(()))
    events: Callable[[], Iterator[dict[str, Any]]] = field(default=lambda: iter(()))
    gone: tuple[Gone, ...] = ()


@dataclass(frozen=True)
class Refused:
    """A record the other side would not have: which one, and why, without its content."""

    id: str
    why: str


@dataclass(frozen=True)
class Delivered:
    """A part the other side has acknowledged: how many records it took, and which it refused.

    `sent` and `refused` together are what the part was made of, so the books can be balanced; delivering
    the same part again changes nothing there. `less` of those sent say less there than they did here.
    """

    sent: int
    refused: tuple[Refused, ...] = ()
    less: int = 0
