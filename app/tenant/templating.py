"""Templating: a template's mappings laid on another source, its fields found by name."""

from __future__ import annotations

import re
from collections.abc import Sequence

from app.tenant.schemas.templates import Applied, Missing
from engine.expression import expression
from engine.lineage import lineage
from engine.model import FieldMapping, Mapping


def applied(mappings: Sequence[Mapping], names: Sequence[str]) -> Applied:
    """The mappings with the fields of a source that has these names; `matched` counts the target fields it feeds."""
    made: list[Mapping] = []
    missing: list[Missing] = []
    for mapping in mappings:
        fields = []
        for item, way in zip(mapping.fields, lineage(mapping).values(), strict=True):
            found, lacks = _laid(item, way.sources, names)
            if found is None:
                missing.append(Missing(target=mapping.target, field=item.field, lacks=lacks))
            else:
                fields.append(found)
        change: dict[str, object] = {"fields": tuple(fields)}
        for part, lacks in (("where", _unread(mapping.where, names)), ("explode", _unnamed(mapping, names))):
            if lacks:
                change[part] = None
                missing.append(Missing(target=mapping.target, field=part, lacks=lacks))
        made.append(mapping.model_copy(update=change))
    return Applied(mappings=made, matched=sum(len(m.fields) for m in made), missing=missing)


def _laid(
    item: FieldMapping, sources: Sequence[str], names: Sequence[str]
) -> tuple[FieldMapping | None, list[str]]:
    """The field on this source, or what it lacks there. A name inside an expression or a step must be the same."""
    lacks = [name for name in sources if name not in names and name != item.source]
    source = item.source
    if source is not None and source not in names and not source.startswith("_"):
        source = _alike(source, names)
        if source is None:
            lacks.insert(0, str(item.source))
    if lacks:
        return None, lacks
    return item.model_copy(update={"source": source}), []


def _alike(name: str, names: Sequence[str]) -> str | None:
    """The one field that is called the same but for case, spaces and signs."""
    found = [other for other in names if _plain(other) == _plain(name)]
    return found[0] if len(found) == 1 and _plain(name) else None


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


def _unread(where: str | None, names: Sequence[str]) -> list[str]:
    return [name for name in expression(where, "where").columns if name not in names] if where else []


def _unnamed(mapping: Mapping, names: Sequence[str]) -> list[str]:
    return [mapping.explode] if mapping.explode and mapping.explode not in names else []
