"""Excel and OpenDocument workbooks: one sheet as a table, its header wherever it stands.

Cells come as they would be read: dates in ISO form, text with its leading zeros, a formula's last
value, an error as its name. calamine reads the formats; only where an .xlsx holds errors, which it
leaves out, does openpyxl read it. A number Excel could no longer hold exactly is said in the notes.
"""

from __future__ import annotations

import datetime as dt
import io
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np
from python_calamine import CalamineError, CalamineWorkbook

from connectors.formats.compression import is_workbook, seekable
from connectors.formats.header import header_line, renewed, unique
from connectors.formats.limits import EXPANSION, EXPANSION_FREE, SPOOLED_BYTES, Damaged, Locked, Refused
from connectors.formats.lines import LINE_LIMIT, fill
from connectors.formats.rows import Quoting
from engine.model import Shape, SourceField
from engine.ports import Chunk, Fault

CHUNK_BYTES = 1 << 24
_OLD = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_EXACT = 10**15
_BOOK_BYTES = 1 << 28
_ERRORS = ("#REF!", "#DIV/0!", "#N/A", "#NAME?", "#NULL!", "#NUM!", "#VALUE!", "#GETTING_DATA", "#SPILL!")


class Workbook:
    """Rows of one sheet: `options["sheet"]`, `options["header_row"]` (0 for none) and `options["columns"]`."""

    name = "excel"
    title = "Excel and OpenDocument"

    def sniff(self, stream: BinaryIO, name: str) -> Shape | None:
        """A workbook by its content; the sheet with most data is proposed, the others are named."""
        head = fill(stream, 8)
        stream.seek(0)
        if not (head == _OLD or (head.startswith(b"PK") and is_workbook(stream))):
            return None
        try:
            book = _Book(stream)
        except Damaged:
            if head == _OLD:  # other kinds of file share this beginning
                return None
            raise
        sizes = book.sizes()
        if not sizes:
            return Shape(format=self.name, notes=("the workbook has no sheet with data",))
        return self.fitted(book, max(sizes, key=lambda each: sizes[each]), list(sizes))

    def refit(self, stream: BinaryIO, shape: Shape) -> Shape:
        """The shape of the sheet a person chose."""
        book = _Book(stream)
        sheets = list(book.sizes())
        chosen = shape.options.get("sheet")
        # A header's row is one sheet's own.
        row = shape.options.get("header_row") if shape.options.get("header_of") == chosen else None
        return self.fitted(book, chosen if chosen in sheets else sheets[0], sheets, row)

    def head(self, stream: BinaryIO, sheet: str, rows: int) -> list[list[str]]:
        """The first rows of a sheet as a person reads them."""
        book = _Book(stream)
        return [[text(cell) for cell in row] for row, _ in zip(book.rows(sheet), range(rows), strict=False)]

    def sizes(self, stream: BinaryIO) -> dict[str, int]:
        """How many cells each sheet spans."""
        return _Book(stream).sizes()

    def fitted(self, book: _Book, chosen: str, sheets: list[str], row: int | None = None) -> Shape:
        """The shape of one sheet, its header in the row a person named (0: none), or where it is found."""
        rows = [
            [text(cell) for cell in each] for each, _ in zip(book.rows(chosen), range(1000), strict=False)
        ]
        filled = [(n, each) for n, each in enumerate(rows) if any(each)]
        width = max((_width(each) for _, each in filled), default=0)
        table = [each[:width] for _, each in filled]
        at = header_line([_trimmed(each) for each in table], width)
        if row is not None:
            at = next((i for i, (n, _) in enumerate(filled) if n + 1 == row), None)
        header = filled[at][0] + 1 if at is not None else 0
        columns = unique(table[at] if at is not None else [""] * width)
        notes = [f"sheets: {', '.join(sheets)}; read: {chosen}"] if len(sheets) > 1 else []
        if header > 1:
            notes.append(f"{header - 1} rows above the header are skipped")
        errors = sum(cell in _ERRORS for row in rows for cell in row)
        if errors:
            notes.append(f"{errors} cells of the rows looked at hold a formula's error")
        if any(
            _inexact(cell) for row, _ in zip(book.rows(chosen), range(1000), strict=False) for cell in row
        ):
            notes.append(
                "numbers of more than 15 digits: Excel has already rounded them, so they may not be the originals"
            )
        options = {
            "sheet": chosen, "sheets": sheets, "header_row": header, "header_of": chosen, "columns": list(columns)
        }  # fmt: skip
        fields = tuple(SourceField(name=name) for name in columns)
        return Shape(format=self.name, fields=fields, options=options, notes=tuple(notes))

    def read(self, stream: BinaryIO, shape: Shape, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Chunk]:
        """Every row of the sheet below the header that is not empty is a row or, if too wide, a fault."""
        book = _Book(stream)
        sheet = str(shape.options.get("sheet") or next(iter(book.sizes()), ""))
        columns = tuple(shape.options.get("columns") or [field.name for field in shape.fields])
        header = int(shape.options.get("header_row", 0))
        how = Quoting(b",", b'"', b"", len(columns))
        lines: list[bytes] = []
        places: list[int] = []
        faults: list[Fault] = []
        size = 0
        for number, row in enumerate(book.rows(sheet), 1):
            cells = [text(cell) for cell in row]
            if number == header and any(cells):
                names = cells[: _width(cells)]
                same = unique(names) == columns[: len(names)]
                named = columns if same else renewed(columns, names, len(names))
                if named is not None:
                    columns, how = named, Quoting(b",", b'"', b"", len(named))
                    continue
            if number < header or not any(cells):
                continue
            line = (
                how.write([cell.encode() for cell in (cells + [""] * len(columns))[: len(columns)]]) + b"\n"
            )
            if any(cells[len(columns) :]):
                whole = how.write([cell.encode() for cell in cells])
                faults.append(
                    Fault(number, whole[:LINE_LIMIT], f"too many columns: {_width(cells)} of {len(columns)}")
                )
            elif len(line) > LINE_LIMIT or b"\0" in line:
                faults.append(Fault(number, line[:LINE_LIMIT], "a row too long to read, or with a NUL in it"))
            else:
                lines.append(line)
                places.append(number)
                size += len(line)
            if size >= chunk_bytes:
                yield _chunk(lines, places, faults, columns)
                lines, places, faults, size = [], [], [], 0
        if lines or faults:
            yield _chunk(lines, places, faults, columns)


def text(cell: object) -> str:
    """A cell as a person reads it: ISO dates, whole numbers without a point, no exponent."""
    if cell is None or cell == "":
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        if cell.is_integer():
            return str(int(cell))
        plain = repr(cell)
        return plain if "e" not in plain else f"{cell:.20f}".rstrip("0") if abs(cell) < 1 else f"{cell:f}"
    if isinstance(cell, dt.datetime):
        return cell.isoformat(sep="T").removesuffix("T00:00:00") if not cell.microsecond else cell.isoformat()
    if isinstance(cell, (dt.date, dt.time)):
        return cell.isoformat()
    return str(cell)


def _inexact(cell: object) -> bool:
    return isinstance(cell, (int, float)) and abs(cell) >= _EXACT


def _exact(data: bytes) -> Any:
    # Here because it takes a tenth of a second to import, and few workbooks hold errors.
    import openpyxl

    return openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)


class _Book:
    """A workbook in memory, read by calamine, or by openpyxl where only that sees its errors."""

    def __init__(self, stream: BinaryIO) -> None:
        stream = seekable(stream)
        stream.seek(0)
        data = stream.read(_BOOK_BYTES + 1)
        if len(data) > _BOOK_BYTES:
            raise Refused(f"A workbook of more than {_BOOK_BYTES:,} bytes.")
        errors = data.startswith(b"PK") and _checked(data)
        try:
            self.book = CalamineWorkbook.from_filelike(io.BytesIO(data))
        except CalamineError as error:
            if "assword" in str(error) or "ncrypt" in str(error):
                raise Locked("the workbook") from error
            raise Damaged(f"the workbook: {error}") from error
        self.exact = _exact(data) if errors else None

    def sizes(self) -> dict[str, int]:
        """How many cells each sheet spans, in order; charts and the like left out."""
        found = {}
        for name in self.book.sheet_names:
            try:
                sheet = self.book.get_sheet_by_name(name)
            except CalamineError:
                continue
            found[name] = sheet.height * sheet.width
        return found

    def rows(self, name: str) -> Iterator[list[object]]:
        """The sheet's rows from the first on, and from its first column with data on."""
        try:
            sheet = self.book.get_sheet_by_name(name)
        except CalamineError as error:
            raise Damaged(f"the sheet {name}: {error}") from error
        if sheet.start is None:
            return
        above, left = sheet.start
        if self.exact is not None:
            for row in self.exact[name].iter_rows(min_row=1, min_col=left + 1, values_only=True):
                yield list(row)
            return
        yield from ([] for _ in range(above))
        for cells in sheet.to_python(skip_empty_area=True):
            yield list(cells)


def _checked(data: bytes) -> bool:
    """Whether cells hold errors, told by unpacking every part once and counting: parsers do not count."""
    errors = False
    total = 0
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for info in archive.infolist():
                if info.flag_bits & 1:
                    raise Locked("the workbook")
                sheet = info.filename.startswith("xl/worksheets/") and info.filename.endswith(".xml")
                with archive.open(info) as part:
                    while piece := part.read(1 << 20):
                        total += len(piece)
                        errors = errors or (sheet and b't="e"' in piece)
                        if total > SPOOLED_BYTES or (
                            total > EXPANSION_FREE and total > EXPANSION * len(data)
                        ):
                            raise Refused(
                                f"The workbook unpacks to more than {total:,} bytes ({info.filename})."
                            )
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError, zlib.error) as error:
        raise Damaged(f"the workbook: {error}") from error
    return errors


def _width(row: Sequence[str]) -> int:
    return max((n for n, cell in enumerate(row, 1) if cell), default=0)


def _trimmed(row: list[str]) -> list[str]:
    return row if any(row[1:]) else row[:1]


def _chunk(lines: list[bytes], places: list[int], faults: list[Fault], columns: tuple[str, ...]) -> Chunk:
    def raw(rows: Sequence[int]) -> list[bytes]:
        return [lines[i].rstrip(b"\n") for i in rows]

    straight = not places or places[-1] - places[0] == len(places) - 1
    return Chunk(
        kind="csv",
        data=b"".join(lines),
        rows=len(lines),
        first_line=places[0] if places else faults[0].line,
        lines=None if straight else np.array(places, np.int64),
        faults=tuple(faults),
        columns=columns,
        raw=raw,
        end=places[-1] if places else faults[-1].line,
    )
