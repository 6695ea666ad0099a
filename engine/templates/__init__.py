"""Mappings that come with the product, for formats whose fields are published and do not describe themselves."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources

from engine.mapping import from_yaml
from engine.model import Mapping

_NAMES = {
    "stix-1": "STIX 1.x indicators (XML)",
    "openioc-1-0": "OpenIOC 1.0 terms (XML)",
    "openioc-1-1": "OpenIOC 1.1 terms (XML)",
}


@dataclass(frozen=True)
class Beginning:
    """Mappings to begin with, under a name."""

    id: str
    name: str
    mappings: tuple[Mapping, ...]


@cache
def beginnings() -> tuple[Beginning, ...]:
    """Every template of ours."""
    folder = resources.files(__name__)
    return tuple(
        Beginning(id, name, (from_yaml(folder.joinpath(f"{id}.yaml").read_text(encoding="utf-8")),))
        for id, name in _NAMES.items()
    )
