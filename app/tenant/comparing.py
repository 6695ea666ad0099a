"""Comparing versions of a pipeline's mappings: what changed in meaning, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from app.tenant.schemas.mappings import ChangeView
from engine.changewords import told
from engine.mapping import difference
from engine.model import Mapping


def differences(before: Sequence[Mapping], after: Sequence[Mapping]) -> list[ChangeView]:
    """The changes, mapping by mapping. A mapping onto the same target model is the same mapping."""
    found: list[ChangeView] = []
    left = list(before)
    for mapping in after:
        same = next((m for m in left if m.target == mapping.target), None)
        if same is None:
            found.append(_whole(mapping, "added", f"a mapping onto {mapping.target} with {_fields(mapping)}"))
            continue
        left.remove(same)
        found += [
            ChangeView(target=mapping.target, what=c.what, name=c.name, how=c.how, part=c.part, says=told(c))
            for c in difference(same, mapping)
        ]
    found += [_whole(m, "removed", f"the mapping onto {m.target} is gone, with {_fields(m)}") for m in left]
    return found


def _whole(mapping: Mapping, how: Literal["added", "removed"], says: str) -> ChangeView:
    return ChangeView(target=mapping.target, what="mapping", name=mapping.target, how=how, says=says)


def _fields(mapping: Mapping) -> str:
    return f"{len(mapping.fields)} field{'s' if len(mapping.fields) != 1 else ''}"
