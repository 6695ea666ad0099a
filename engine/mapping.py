"""Mappings as data: their content address."""

from __future__ import annotations

import hashlib
import json

from engine.model import Mapping


def canonical_json(mapping: Mapping) -> str:
    """The mapping as JSON with sorted keys, nothing idle, names as on disk: equal mappings, equal text."""
    data = mapping.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def address(mapping: Mapping) -> str:
    """The mapping's content address: 12 hexadecimal digits that name this very version."""
    return hashlib.sha256(canonical_json(mapping).encode()).hexdigest()[:12]
