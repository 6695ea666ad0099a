"""The scalar functions a user's expression may call, in DuckDB's spelling, each in a few words."""

from __future__ import annotations

# Functions that no row can make raise, whatever text they get.
_PLAIN = {
    "lower": "text in lower case", "upper": "text in upper case", "lcase": "lower", "ucase": "upper",
    "trim": "without spaces (or given characters) at both ends", "ltrim": "trim at the start", "rtrim": "trim at the end",
    "length": "number of characters, or of entries", "len": "length", "strlen": "number of bytes",
    "replace": "every occurrence of a text replaced", "concat": "texts joined, NULL left out",
    "concat_ws": "texts joined with a separator, NULL left out", "coalesce": "the first that is not NULL",
    "ifnull": "the second where the first is NULL", "nullif": "NULL where both are equal",
    "contains": "whether a text holds another", "starts_with": "whether a text begins with another",
    "ends_with": "whether a text ends with another", "prefix": "starts_with", "suffix": "ends_with",
    "left": "the first characters", "right": "the last characters", "substr": "characters by position",
    "substring": "characters by position", "split_part": "one part of a split text", "reverse": "text backwards",
    "instr": "position of a text in another, 0 where it is not", "strpos": "instr", "position": "instr",
    "md5": "MD5 in hexadecimal", "sha1": "SHA-1 in hexadecimal", "sha256": "SHA-256 in hexadecimal",
    "strip_accents": "letters without accents", "if": "one of two values", "iff": "if",
}  # fmt: skip

# Functions that can meet a value they refuse: the row then fails a check, the run goes on.
_STRICT = {
    "string_split": "text cut into a list", "str_split": "string_split", "split": "string_split",
    "regexp_matches": "whether a pattern is found", "regexp_full_match": "whether a pattern matches the whole",
    "regexp_extract": "the part a pattern matches", "regexp_replace": "matches of a pattern replaced",
    "regexp_extract_all": "all parts a pattern matches",
    "lpad": "filled up at the start (to at most 1,000 characters)", "rpad": "filled up at the end",
    "ascii": "code of the first character", "unicode": "code of the first character", "ord": "unicode",
    "chr": "character of a code", "hex": "in hexadecimal", "to_hex": "hex", "unhex": "bytes of a hexadecimal text",
    "from_hex": "unhex", "base64": "bytes as Base64", "to_base64": "base64", "from_base64": "bytes of a Base64 text",
    "encode": "text as bytes", "decode": "bytes as text", "url_encode": "text for use in a URL", "url_decode": "its reverse",
    "levenshtein": "how many edits apart", "jaro_winkler_similarity": "likeness from 0 to 1", "jaccard": "likeness from 0 to 1",
    "translate": "characters replaced one by one", "ltrim": "trim at the start",
    "abs": "without sign", "round": "rounded", "floor": "rounded down", "ceil": "rounded up", "ceiling": "ceil",
    "trunc": "without fraction", "sign": "-1, 0 or 1", "sqrt": "square root", "ln": "natural logarithm", "log": "logarithm",
    "log10": "logarithm", "log2": "logarithm", "exp": "e to the power", "pow": "power", "power": "pow", "mod": "remainder",
    "greatest": "the largest", "least": "the smallest", "isnan": "whether it is not a number", "isfinite": "whether it is finite",
    "date_trunc": "a moment cut to day, month, …", "datetrunc": "date_trunc", "date_part": "year, month, … of a moment",
    "datepart": "date_part", "extract": "date_part", "year": "year", "month": "month", "day": "day", "hour": "hour",
    "minute": "minute", "second": "second", "week": "week", "quarter": "quarter", "dayofweek": "0 is Sunday",
    "isodow": "1 is Monday", "dayofyear": "day of the year", "epoch": "seconds since 1970", "epoch_ms": "milliseconds since 1970",
    "epoch_us": "microseconds since 1970", "make_date": "a date from numbers", "make_timestamp": "a moment from numbers",
    "to_timestamp": "a moment from seconds since 1970", "strftime": "a moment as text in a format",
    "strptime": "text as a moment in a format", "try_strptime": "strptime", "date_diff": "whole units between two moments",
    "datediff": "date_diff", "date_sub": "date_diff counted in full units", "last_day": "last day of the month",
    "to_days": "an interval", "to_hours": "an interval", "to_minutes": "an interval", "to_seconds": "an interval",
    "json_extract": "value at a path", "json_extract_string": "value at a path as text", "json_valid": "whether it is JSON",
    "json_array_length": "entries of a JSON list", "json_type": "what kind of JSON", "json_keys": "keys of a JSON object",
    "json_exists": "whether a path is there", "to_json": "as JSON", "json_object": "a JSON object", "json_array": "a JSON list",
    "from_json": "JSON as a value",
    "list_value": "a list", "list_extract": "one entry", "list_element": "one entry", "array_extract": "one entry",
    "list_contains": "whether a list has an entry", "list_has": "list_contains", "array_contains": "list_contains",
    "list_transform": "every entry changed", "list_filter": "entries that meet a condition", "list_distinct": "without repeats",
    "list_sort": "sorted", "list_concat": "lists joined", "list_slice": "part of a list", "array_slice": "part of a list",
    "list_position": "where an entry stands", "array_length": "number of entries", "list_reverse": "backwards",
    "array_to_string": "a list as text", "list_has_any": "whether lists share an entry", "list_has_all": "whether it holds all",
    "array_transform": "list_transform", "apply": "list_transform", "array_filter": "list_filter",
    "struct_extract": "one entry of a structure", "format_bytes": "a size for people",
}  # fmt: skip

SAFE = frozenset(_PLAIN)
FUNCTIONS: dict[str, str] = dict(sorted({**_STRICT, **_PLAIN}.items()))

# What operators, literals and our own rewriting are called in DuckDB's parse.
GENERATED = frozenset(
    (
        "+", "-", "*", "/", "//", "%", "||", "~~", "!~~", "~~*", "!~~*", "->", "->>", "@>",
        "like_escape", "not_like_escape", "ilike_escape", "not_ilike_escape",
        "list_value", "array_extract", "array_slice", "date_part", "row", "contains", "regexp_full_match",
    )
)  # fmt: skip
