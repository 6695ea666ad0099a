"""Target models that come with the product, and the mappings of formats that describe themselves."""

from __future__ import annotations

from engine.model import TargetModel
from engine.targets.business import ASSET, CONTACT, WEB_METRIC
from engine.targets.indicator import INDICATOR
from engine.targets.misp import misp_mappings
from engine.targets.objects import OBJECTS
from engine.targets.stix import stix_mappings

TARGETS: dict[str, TargetModel] = {one.name: one for one in (INDICATOR, *OBJECTS, ASSET, CONTACT, WEB_METRIC)}

__all__ = ["TARGETS", "misp_mappings", "stix_mappings"]
