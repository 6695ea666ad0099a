"""From a chunk to the relation `source`: the one place that says how DuckDB reads bytes.

Everything is read as text. DuckDB's own guesses turn hashes into infinities, so nothing is guessed
here; the plan casts.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from engine.model import SourceField
from engine.ports import Chunk

RAW = "_raw"
# Tells the names of a row's fields that are not among the known ones, which its SourceField has as its path.
EXTRA = "_extra"
_PLAIN_OBJECT = 16 << 20
_SHORT_OBJECT = 1 << 20  # DuckDB reads through a buffer of twice the longest object


def identifier(name: str) -> str:
    """A quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A quoted SQL string."""
    return "'" + text.replace("'", "''") + "'"


def source(chunk: Chunk, place: str, fields: Sequence[SourceField], *, ordinal: bool = False) -> str:
    """A SELECT that reads the chunk's rows from the file `place` as VARCHAR columns named by field.

    With `ordinal` it adds `_ord`, the row's place in the chunk from 0. Rows come in the chunk's order
    when one thread reads them, which the store's `threads=1` sees to.
    """
    count = "row_number() OVER () - 1 AS _ord" if ordinal else ""
    if chunk.kind == "csv":
        columns = ", ".join(f"{literal(c)}: 'VARCHAR'" for c in chunk.columns)
        options = (
            f"columns={{{columns}}}, header=false, auto_detect=false, parallel=false, "
            f"delim={literal(chunk.delimiter)}, quote={literal(chunk.quote)}, escape={literal(chunk.escape)}, "
            f"new_line='\\n', max_line_size={max(2 << 20, _longest(chunk))}"
        )
        picked = [_column(chunk, f) for f in fields]
        return f"SELECT {_list(picked, count)} FROM read_csv({literal(place)}, {options})"
    if chunk.kind == "lines":
        most = max(_SHORT_OBJECT, chunk.longest) if chunk.longest else max(_PLAIN_OBJECT, _longest(chunk))
        where = f"{literal(place)}, maximum_object_size={most}"
        if chunk.prove is not None and _flat(fields):
            columns = ", ".join(f"{literal(f.name)}: 'VARCHAR'" for f in fields)
            options = f"format='newline_delimited', records=true, columns={{{columns}}}"
            relation = f"read_json({where}, {options})"
            picked = [unmarked(identifier(f.name), chunk.mark, f.name) for f in fields]
            return f"SELECT {_list(picked, count)} FROM {relation}"
        return objects(f"read_ndjson_objects({where})", fields, count, chunk.mark)
    picked = [_column(chunk, f) for f in fields]
    return f"SELECT {_list(picked, count)} FROM read_parquet({literal(place)})"


def _column(chunk: Chunk, field: SourceField) -> str:
    """A column of a table by its name; one the table does not have is empty."""
    if field.name == EXTRA:
        return f"{_unknown_columns(chunk, field.path)} AS {EXTRA}"
    wanted = field.name if field.name in chunk.columns else (field.path or (field.name,))[0]
    if wanted not in chunk.columns:
        return f"NULL::VARCHAR AS {identifier(field.name)}"
    return f"CAST({identifier(wanted)} AS VARCHAR) AS {identifier(field.name)}"


def _unknown_columns(chunk: Chunk, known: Sequence[str]) -> str:
    names = [name for name in chunk.columns if name not in known]
    arms = [f"CASE WHEN trim({identifier(n)}::VARCHAR) <> '' THEN {literal(n)} END" for n in names]
    return f"nullif(concat_ws(', ', {', '.join(arms)}), '')" if arms else "NULL::VARCHAR"


def _unknown_keys(known: Sequence[str]) -> str:
    named = f"[{', '.join(map(literal, known))}]::VARCHAR[]"
    return (
        f"nullif(array_to_string(list_filter(json_keys(json), k -> NOT list_contains({named}, k)), ', '), '')"
    )


def objects(lines: str, fields: Sequence[SourceField], count: str = "", mark: str = "") -> str:
    """A SELECT of fields out of a relation with one JSON object a row, in the column `json`.

    A field that is an object or a list arrives as its JSON text; absent and null arrive as NULL. Numbers
    between marks arrive as they are written.
    """
    tree = _Tree()
    for f in fields:
        if f.name not in (RAW, EXTRA):
            tree.add(f.path or (f.name,))
    whole = {RAW: "CAST(json AS VARCHAR)"} | {
        f.name: _unknown_keys(f.path) for f in fields if f.name == EXTRA
    }
    values = [whole.get(f.name) or tree.pick(f) for f in fields]
    picked = [unmarked(value, mark, f.name) for value, f in zip(values, fields, strict=True)]
    if not tree.branches:
        return f"SELECT {_list(picked, count)} FROM {lines}"
    inner = f"SELECT json, from_json(json, {literal(json.dumps(tree.spec()))}) AS _o FROM {lines}"
    return f"SELECT {_list(picked, count)} FROM ({inner})"


def unmarked(value: str, mark: str, name: str) -> str:
    """A value under its name, the numbers between marks in it as they were written."""
    if not mark:
        return value if value == identifier(name) else f"{value} AS {identifier(name)}"
    # A number by itself stands between two marks; within an object or a list it also stands in quotes.
    # Splitting and joining takes a fifth of the time that `replace` takes with long texts.
    bare = value
    for around in (f'"{mark}', f'{mark}"'):
        bare = f"array_to_string(string_split({bare}, {literal(around)}), '')"
    return (
        f"CASE WHEN starts_with({value}, {literal(mark)}) THEN {value}[2:-2] "
        f"WHEN contains({value}, {literal(mark)}) THEN {bare} ELSE {value} END AS {identifier(name)}"
    )


def _flat(fields: Sequence[SourceField]) -> bool:
    """Whether each field is a key of the object itself, so that DuckDB can pick them while it parses."""
    names = {f.name.lower() for f in fields}
    return (
        bool(fields)
        and len(names) == len(fields)
        and all(f.name not in (RAW, EXTRA) and (f.path or (f.name,)) == (f.name,) for f in fields)
    )


class _Tree:
    """The struct that from_json is asked for: leaves are text; a leaf with children stays whole.

    DuckDB's struct fields ignore case and JSON's keys don't, so the second of two keys that differ
    only in case is left out here and fetched by its path.
    """

    def __init__(self) -> None:
        self.branches: dict[str, _Tree] = {}
        self.leaf = False

    def add(self, path: Sequence[str]) -> None:
        key = path[0]
        if key not in self.branches and any(k.lower() == key.lower() for k in self.branches):
            return
        branch = self.branches.setdefault(key, _Tree())
        if len(path) == 1:
            branch.leaf = True
        else:
            branch.add(path[1:])

    def spec(self) -> dict[str, object]:
        return {k: b.kind if b.leaf or not b.branches else b.spec() for k, b in self.branches.items()}

    @property
    def kind(self) -> str:
        """What is looked into must stay JSON: a string that is text would be taken for JSON itself."""
        return "JSON" if self.branches else "VARCHAR"

    def pick(self, field: SourceField) -> str:
        path = field.path or (field.name,)
        node, where = self, "_o"
        for depth, key in enumerate(path):
            if key not in node.branches:
                return _by_path("json", path)
            node, where = node.branches[key], f"{where}.{identifier(key)}"
            if node.leaf and node.branches:
                where = _by_path(where, path[depth + 1 :])
                break
        return where


def _by_path(value: str, path: Sequence[str]) -> str:
    return f"json_extract_string({value}, {literal('$' + ''.join('.' + json.dumps(p) for p in path))})"


def _list(picked: Sequence[str], count: str) -> str:
    return ", ".join([*picked, *([count] if count else [])]) or "1 AS _nothing"


def _longest(chunk: Chunk) -> int:
    """An upper bound for the longest row: tight only where rows are few, which is where it matters."""
    return len(chunk.data) + 1 if chunk.rows * 1024 < len(chunk.data) else 0
