"""What changed between two states of a thing, field by field, as people compare them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

ABSENT = object()


@dataclass(frozen=True)
class Change:
    """A field, what it was and what it is; None where it was or is not there."""

    field: str
    before: str | None
    after: str | None

    @property
    def same(self) -> bool:
        """Whether nothing changed here."""
        return self.before == self.after


def differences(before: str, after: str) -> list[Change]:
    """The fields of two JSON texts side by side, those that changed first; an empty text is nothing."""
    old, new = _flat(_read(before)), _flat(_read(after))
    names = list(dict.fromkeys([*old, *new]))
    found = [Change(name, _told(old.get(name, ABSENT)), _told(new.get(name, ABSENT))) for name in names]
    return sorted(found, key=lambda change: change.same)


def _read(text: str) -> Any:
    if not text:
        return ABSENT
    try:
        return json.loads(text)
    except ValueError:
        return text


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    if value is ABSENT or (value is None and not path):
        return {}
    parts: dict[str, Any] = {}
    if isinstance(value, dict) and value:
        for name, part in value.items():
            parts |= _flat(part, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list) and any(isinstance(part, dict | list) for part in value):
        for place, part in enumerate(value, start=1):
            parts |= _flat(part, f"{path}[{place}]")
    else:
        parts[path or "value"] = value
    return parts


def _told(value: Any) -> str | None:
    if value is ABSENT:
        return None
    if isinstance(value, str):
        return value or "“”"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "none"
    if isinstance(value, list):
        return ", ".join(str(_told(part)) for part in value) or "none"
    return f"{value:,}" if isinstance(value, int) else json.dumps(value, ensure_ascii=False)
