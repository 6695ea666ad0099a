"""MISP attributes and what MISP's own conversion to STIX makes of them agree on ids and values with our records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from connectors.formats.misp_rows import rows_of
from engine.targets import misp_mappings
from tests.engine.test_targets import Loaded


def plain(text: str) -> str:
    """Text without the backslashes that patterns add, and without case."""
    return text.replace("\\", "").lower()


def test_every_attribute_with_a_pattern_is_an_indicator_of_the_same_id_whose_values_stand_in_it(
    shared_data: Path,
) -> None:
    mapping = shared_data / "misp-stix" / "documentation" / "mapping" / "misp_attributes_to_stix21.json"
    pairs: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
    for name, pair in json.loads(mapping.read_text()).items():
        made = pair["STIX"] if isinstance(pair["STIX"], list) else [pair["STIX"]]
        for each in made:
            if isinstance(each, dict) and each.get("type") == "indicator":
                pairs[name] = ({**pair["MISP"], "to_ids": True, "pair": name}, each)
    assert len(pairs) > 60
    event = {"uuid": "u", "info": "x", "Attribute": [attribute for attribute, _ in pairs.values()]}
    rows = [row for row, _ in rows_of({"Event": event}) if row["row"] == "attribute"]
    made_of: dict[str, list[dict[str, Any]]] = {}
    for _, record in Loaded(misp_mappings(), rows).all():
        made_of.setdefault(json.loads(record["object"])["pair"], []).append(record)
    for name, (attribute, indicator) in pairs.items():
        records = made_of[name]
        assert len(records) == (2 if "|" in attribute["type"] or name == "malware-sample" else 1), name
        if len(records) == 1:
            assert records[0]["id"] == indicator["id"], name
        for record in records:
            assert plain(record["original"]) in plain(indicator["pattern"]), name
