"""Which row of a table is its header (names, not values, over rows that are not like it), and what it names."""

from __future__ import annotations

import re
from collections.abc import Sequence

_VALUE = re.compile(
    r"""^(
      [-+]?[\d.,\s]*\d%?                                  # a number
    | \d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T\s].*)?           # a date
    | \[?\d{1,3}(\[?\.\]?\d{1,3}){3}.*                    # IPv4, defanged or not
    | [0-9a-fA-F]{0,4}(:[0-9a-fA-F]{0,4}){2,7}(/\d+)?     # IPv6, MAC
    | [0-9a-fA-F]{32,128}                                 # a hash
    | [a-z][a-z0-9+.-]{1,9}(\[?:\]?)//.*                  # a URL
    | hxxps?.*
    | [^\s@]+(@|\[at\])[^\s@]+\.[^\s@]+                   # an address
    | CVE-\d{4}-\d+ | AS\d+
    | [a-z-]+--[0-9a-f]{8}-[0-9a-f-]{27}                  # a STIX id
    | [\w-]+((\[\.\]|\.)[\w-]+)*(\[\.\]|\.)[a-z]{2,24}    # a domain or file
    | true | false | yes | no | null | none | n/a
    | TLP:.*
    )$""",
    re.VERBOSE | re.IGNORECASE,
)
_LABEL = re.compile(r"^[^\W\d_][\w .,:/#()%&?*+'@$\[\]-]{0,79}$|^[_#@$][\w .:-]{1,79}$")
_KNOWN = frozenset(
    re.findall(
        r"\w+",
        """ip ips ipv4 ipv6 ip_address address domain domains fqdn host hostname url urls uri hash hashes md5
        sha1 sha256 sha512 indicator indicators ioc iocs value values observable email emails cve cves asn cidr
        network subnet name id type date filename file pattern""",
    )
)


def is_value(cell: str) -> bool:
    """Whether the cell looks like data rather than a name."""
    text = cell.strip()
    return bool(text) and bool(_VALUE.match(text))


def is_label(cell: str) -> bool:
    """Whether the cell could be a column's name."""
    text = " ".join(cell.split())
    return bool(_LABEL.match(text)) and not is_value(text)


def header_line(rows: list[list[str]], width: int) -> int | None:
    """The index of the header among the first rows; None where the table has none.

    A title above the table is narrower than the rows; a header is as wide as they are (or nearly) and
    made of names.
    """
    for index, row in enumerate(rows[:30]):
        filled = [cell for cell in row if cell.strip()]
        if len(row) < width - 1 or len(filled) < max(1, (width + 1) // 2):
            continue
        if _heads(row, rows[index + 1 : index + 101], width):
            return index
        if len(filled) >= width or index >= 10:
            return None
    return None


def _heads(row: list[str], below: list[list[str]], width: int) -> bool:
    filled = [cell.strip() for cell in row if cell.strip()]
    if any(is_value(cell) for cell in filled):
        return False
    labels = sum(is_label(cell) for cell in filled)
    if labels < len(filled) * 0.8:
        return False
    below = [other for other in below if len(other) == width]
    if width == 1:
        return filled[0].lower().replace(" ", "_") in _KNOWN or (
            len(below) > 2 and sum(is_value(other[0]) for other in below) > len(below) * 0.8
        )
    values = sum(any(is_value(other[i]) for other in below) for i in range(width))
    if len({cell.lower() for cell in filled}) < len(filled) * 0.7 and values < width / 2:
        return False
    repeats = sum(
        any(other[i].strip() == cell.strip() for other in below if i < len(other))
        for i, cell in enumerate(row)
        if cell.strip()
    )
    return repeats <= len(filled) * 0.3


def unique(names: Sequence[str]) -> tuple[str, ...]:
    """The names with blanks trimmed, none empty and none twice (DuckDB compares without case)."""
    seen: set[str] = set()
    result: list[str] = []
    for number, name in enumerate(names, 1):
        base = " ".join(name.split())[:200] or f"column_{number}"
        found, again = base, 2
        while found.lower() in seen:
            found, again = f"{base}_{again}", again + 1
        seen.add(found.lower())
        result.append(found)
    return tuple(result)


def renewed(known: Sequence[str], cells: Sequence[str], width: int) -> tuple[str, ...] | None:
    """The columns a later payload's own header names, in its order; None where its first row is no header.

    `width` is how many cells its rows have, 0 where there are none. A name that differs from a known one
    only by case is that one; names a header lacks or has too many of stay as they were found at first.
    """
    spelled = {name.lower(): name for name in known}
    named = tuple(spelled.get(name.lower(), name) for name in unique(cells))
    if named == tuple(known):
        return named
    if not set(named) & set(known) and any(is_value(cell) for cell in cells):
        return None
    wide = width or len(cells)
    shared = min(len(named), len(known))
    if wide == len(known) and len(named) != wide and named[:shared] == tuple(known)[:shared]:
        return tuple(known)
    fitted = unique([*cells, *[""] * (wide - len(cells))][:wide])
    return tuple(spelled.get(name.lower(), name) for name in fitted)
