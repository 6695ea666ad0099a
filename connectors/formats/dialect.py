"""How a delimited text is written, found from its beginning and stated as data a person can change.

A maintained detector (clevercsv) proposes, our own count of consistent lines decides, because the
detector alone is misled by one stray quote.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from dataclasses import dataclass
from typing import BinaryIO

from connectors.formats.header import header_line, is_value, unique
from connectors.formats.lines import bom, fill, lines_of, plain, unit
from connectors.formats.rows import Quoting, Row, split
from connectors.formats.text import encoding_of
from engine.model import Dialect, Shape, SourceField

HEAD = 1 << 18
SAMPLE_LINES = 1000
_DETECTOR_BYTES, _DETECTOR_LINES = 1 << 14, 100
_DELIMITERS = (",", "\t", ";", "|", "\x1f", "\x01", "^", "~", "||", " ", ":")
_COLUMNS = 20_000
_COMMENTS = ("#", "//", "%")
_LEGACY = (
    "cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "koi8_r", "koi8_u", "iso8859_2",
    "iso8859_5", "iso8859_7", "iso8859_9", "gb18030", "big5", "shift_jis", "euc_jp", "euc_kr", "iso2022_jp",
)  # fmt: skip


@dataclass(frozen=True)
class _Fit:
    """How well a delimiter and a quote explain the sample."""

    delimiter: str
    quote: str
    escape: str
    width: int
    consistent: float
    score: float


def sniff(stream: BinaryIO, name: str) -> Shape | None:
    """The shape of a text table; None where the bytes are no text at all."""
    head = fill(stream, HEAD)
    whole = len(head) < HEAD
    encoding, notes = encoding_found(head, stream)
    if not encoding:
        return None
    return fitted(head, whole, Dialect(encoding=encoding), name, notes)


def refit(stream: BinaryIO, shape: Shape) -> Shape:
    """The shape again with its dialect as a person changed it: columns and first lines follow."""
    dialect = shape.dialect or Dialect()
    head = fill(stream, HEAD)
    text, shown = sample(head, len(head) < HEAD, dialect.encoding)
    columns = dialect.columns
    rows = _parsed(text[dialect.skip_lines :], dialect)
    if not columns and rows:
        columns = unique(rows[0].cells if dialect.header else [""] * len(rows[0].cells))
    dialect = dialect.model_copy(update={"columns": columns, "first_lines": shown})
    return shape.model_copy(update={"dialect": dialect, "fields": _fields(columns)})


def fitted(head: bytes, whole: bool, given: Dialect, name: str, notes: tuple[str, ...] = ()) -> Shape:
    """Everything found from the first bytes of a text in a known encoding."""
    text, shown = sample(head, whole, given.encoding)
    found = list(notes)
    comment = _comment(text)
    if comment:
        found.append(f"lines that start with {comment} are comments")
    fit = _best(text, comment, name)
    dialect = given.model_copy(
        update={"delimiter": fit.delimiter, "quote": fit.quote, "escape": fit.escape, "comment": comment}
    )
    rows = _parsed(text, dialect)
    title = header_line([row.cells for row in rows], fit.width)
    if title is not None:
        names, skip = rows[title].cells, rows[title].line
    else:
        names = _commented_header(text, dialect, fit.width) or [""] * fit.width
        skip = 0  # what stands before rows without a header may be rows too: let it be seen
    above = [line for line in text[:skip] if line.strip() and not (comment and line.startswith(comment))]
    if not above:
        # Blank lines and comments are left out anyway, and need not be named twice.
        skip = 0
    elif skip:
        found.append(
            f"{skip} lines before the table are skipped" if skip > 1 else "the first line is skipped"
        )
    if title is not None and len(names) != fit.width:
        found.append(f"the header names {len(names)} columns, the rows have {fit.width}")
        names = (names + [""] * fit.width)[: fit.width]
    columns = unique(names) if rows else ()
    if title is not None and list(columns) != [" ".join(n.split()) for n in names]:
        found.append("empty or repeated header names were made unique")
    if not text:
        found.append("the file is empty")
    dialect = dialect.model_copy(
        update={"header": title is not None, "skip_lines": skip, "columns": columns, "first_lines": shown}
    )
    return Shape(format="csv", dialect=dialect, fields=_fields(columns), notes=tuple(found))


def encoding_found(head: bytes, stream: BinaryIO) -> tuple[str, tuple[str, ...]]:
    """The encoding, "" for bytes that are no text, and what is to be said about it."""
    _, marked = bom(head)
    if marked:
        return marked, ()
    if not head:
        return "utf-8", ()
    for name in ("utf-16-le", "utf-16-be"):
        low = head[0 if name == "utf-16-le" else 1 : 4096 : 2]
        high = head[1 if name == "utf-16-le" else 0 : 4096 : 2]
        if len(head) >= 4 and high.count(0) > len(high) * 0.4 and low.count(0) == 0:
            return name, ("UTF-16 without a byte order mark",)
    control = sum(head[:65536].count(bytes((c,))) for c in (*range(9), 14, 15, 16, 17, 18, 127))
    if control > len(head[:65536]) * 0.02:
        return "", ()
    sample_bytes = head + b"\n" + _elsewhere(stream, len(head))
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample_bytes)
        return "utf-8", ()
    except UnicodeDecodeError:
        pass
    broken = multibyte = 0
    for line in sample_bytes.split(b"\n"):
        if line.isascii():
            continue
        try:
            line.decode("utf-8")
            multibyte += 1
        except UnicodeDecodeError:
            broken += 1
    if broken <= max(1, multibyte):
        return "utf-8", (f"{broken} of the lines looked at are not valid UTF-8 and will be rejects",)
    name = _legacy(sample_bytes[: 1 << 16])
    try:
        sample_bytes.decode(name)
    except UnicodeDecodeError:
        name = "latin-1"
    return name, (f"read as {name}, which is a guess",)


def _legacy(data: bytes) -> str:
    """A guess at an encoding from before Unicode.

    In western text accented letters stand alone between ASCII ones; few of them tell a detector too
    little, so only denser text is given to it.
    """
    high = re.findall(rb"[\x80-\xff]+", data)
    if sum(len(run) == 1 for run in high) > 0.8 * len(high):
        return "cp1252"
    from charset_normalizer import from_bytes

    guess = from_bytes(data, cp_isolation=list(_LEGACY)).best()
    return plain(guess.encoding) if guess else "cp1252"


def _elsewhere(stream: BinaryIO, read: int) -> bytes:
    """Some whole lines from further on, so that one late accent does not surprise."""
    if not stream.seekable():
        return b""
    here = stream.tell()
    end = stream.seek(0, 2)
    parts = []
    for share in (1, 2, 3):
        stream.seek(max(here, read + (end - read) * share // 4))
        parts += fill(stream, 1 << 15).split(b"\n")[1:-1]
    stream.seek(here)
    return b"\n".join(parts)


def sample(head: bytes, whole: bool, encoding: str) -> tuple[list[str], tuple[str, ...]]:
    """The first physical lines, decoded, and the first twenty with undecodable bytes as \\xNN."""
    mark, name = encoding_of(Dialect(encoding=encoding), head[:4])
    head = head[mark:]
    table = lines_of(head, unit(name))
    count = min(len(table) if whole or len(table) < 2 else len(table) - 1, SAMPLE_LINES)
    raws = [head[int(a) : int(b)] for a, b in zip(table.starts[:count], table.ends[:count], strict=True)]
    shown = tuple(raw[:2000].decode(name, "backslashreplace") for raw in raws[:20])
    return [raw.decode(name, "replace") for raw in raws], shown


def _fields(columns: tuple[str, ...]) -> tuple[SourceField, ...]:
    return tuple(SourceField(name=name) for name in columns)


@dataclass(frozen=True)
class _Parsed:
    """A row of the sample and the line it starts on; `closes` is false where its quotes do not."""

    line: int
    cells: list[str]
    closes: bool = True


def _parsed(text: list[str], dialect: Dialect) -> list[_Parsed]:
    """The sample's rows without blanks and comments, quoted line ends respected."""
    data = "\n".join(text).encode("utf-8", "replace")
    lines = lines_of(data)
    how = Quoting(dialect.delimiter.encode(), dialect.quote.encode(), dialect.escape.encode(), 0)
    rows: list[_Parsed] = []
    at = 0
    while at < len(lines):
        line = text[at]
        if not line.strip() or (dialect.comment and line.startswith(dialect.comment)):
            at += 1
            continue
        found = split(data, lines, at, how, len(lines))
        if isinstance(found, Row):
            rows.append(_Parsed(at, [f.decode("utf-8", "replace") for f in found.fields]))
            at = found.last + 1
        else:
            rows.append(_Parsed(at, line.split(dialect.delimiter or "\n"), closes=False))
            at += 1
    return rows


def _comment(text: list[str]) -> str:
    """The mark that comment lines start with: only where the file opens with one, or many have it."""
    seen = [t for t in text if t.strip()]
    for mark in _COMMENTS:
        if seen and seen[0].startswith(mark) and not all(t.startswith(mark) for t in seen):
            return mark
    return ""


def _commented_header(text: list[str], dialect: Dialect, width: int) -> list[str]:
    """Names from the last comment line before the data that has as many cells as the rows."""
    if not dialect.comment or width < 2:
        return []
    names: list[str] = []
    bare = dialect.model_copy(update={"comment": ""})
    for line in text:
        if not line.startswith(dialect.comment):
            if line.strip():
                break
            continue
        for row in _parsed([line.removeprefix(dialect.comment).strip()], bare):
            if len(row.cells) == width and not any(is_value(cell) for cell in row.cells):
                names = [cell.strip() for cell in row.cells]
    return names


def _best(text: list[str], comment: str, name: str) -> _Fit:
    """The delimiter and quote that make most lines rows of one width."""
    lines = [t for t in text if t.strip() and not (comment and t.startswith(comment))]
    if not lines:
        return _Fit(",", '"', "", 1, 1.0, 0.0)
    proposed = _proposal(lines)
    values = sum(is_value(line) for line in lines) > len(lines) / 2
    fits = [
        _fit(text, comment, *candidate, proposed=proposed, name=name)
        for candidate in _candidates(lines, proposed)
        if not (values and candidate[0] in " :")
    ]
    best = max(fits, key=lambda fit: fit.score, default=None)
    if best is None or best.score <= 0 or best.consistent < 0.5:
        quoted = sum(t.lstrip().startswith('"') and t.rstrip().endswith('"') for t in lines) > len(lines) / 2
        return _Fit("", '"' if quoted else "", "", 1, 1.0, 0.0)
    return best


def _candidates(lines: list[str], proposed: tuple[str, str, str] | None) -> list[tuple[str, str, str]]:
    text = "\n".join(lines)
    found = [proposed] if proposed else []
    escape = "\\" if re.search(r'(?<!")\\"', text) and '""' not in text else ""
    for delimiter in _DELIMITERS:
        if delimiter in text:
            found.append((delimiter, '"', escape))
            if "'" in text and re.search(rf"(^|{re.escape(delimiter)})'", text, re.M):
                found.append((delimiter, "'", ""))
    return list(dict.fromkeys(found))


def _fit(
    text: list[str],
    comment: str,
    delimiter: str,
    quote: str,
    escape: str,
    *,
    proposed: tuple[str, str, str] | None,
    name: str,
) -> _Fit:
    rows = _parsed(text, Dialect(delimiter=delimiter, quote=quote, escape=escape, comment=comment))
    widths = Counter(len(row.cells) for row in rows if row.closes)
    width, votes = max(
        widths.items(), key=lambda item: (item[1] if item[0] > 1 else 0, item[0]), default=(1, 0)
    )
    consistent = votes / len(rows)
    usual = {",": 0.06, "\t": 0.08, ";": 0.05, "|": 0.05, "||": 0.07, " ": -0.25, ":": -0.25}.get(
        delimiter, 0.0
    )
    hint = {".tsv": "\t", ".tab": "\t", ".psv": "|", ".csv": ","}.get(name[-4:].lower(), "")
    score = consistent + usual + 0.05 * (quote == '"') + min(width, 20) * 0.01
    score += 0.1 * (proposed is not None and proposed[0] == delimiter) + 0.05 * (hint == delimiter)
    return _Fit(delimiter, quote, escape, width, consistent, score if 1 < width <= _COLUMNS else 0.0)


def _proposal(lines: list[str]) -> tuple[str, str, str] | None:
    """What the detector says of a small head sample, so that its time stays bounded."""
    # Here because it takes a tenth of a second to import, and most payloads say what they are.
    import clevercsv

    text = "\n".join(line[:2000] for line in lines[:_DETECTOR_LINES])[:_DETECTOR_BYTES]
    try:
        found = clevercsv.Detector().detect(text, delimiters=[d for d in _DELIMITERS if len(d) == 1])
    except (clevercsv.Error, ValueError, IndexError, KeyError):
        return None
    if found is None or not found.delimiter or len(found.delimiter) != 1:
        return None
    escape = found.escapechar or ""
    return found.delimiter, found.quotechar or '"', escape if found.quotechar else ""
