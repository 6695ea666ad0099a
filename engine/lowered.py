"""Objects of STIX 2.1 as STIX 2.0 has them: what it has words for is kept, and what is lost on the way is known.

The types of 2.1 were labels in 2.0. Properties that are new in 2.1 are left off; an object that is nothing in 2.0,
or lacks there what 2.0 requires, has no form. A marking is never lowered: TLP 2 becomes the TLP 1 that is at least
as strict, and what marked a property that has moved or gone marks the whole object.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from engine.observed import RENAMED
from engine.types.vocabularies.tlp import MARKINGS

Item = dict[str, Any]

# Required in 2.0, and where 2.1 has it.
_LABELS = {
    "indicator": "indicator_types", "malware": "malware_types", "report": "report_types",
    "threat-actor": "threat_actor_types", "tool": "tool_types",
}  # fmt: skip
_MOVED = {**_LABELS, "identity": "roles"}
_REQUIRED = {
    "attack-pattern": ("name",), "campaign": ("name",), "course-of-action": ("name",), "identity": ("name",),
    "indicator": ("pattern", "valid_from"), "intrusion-set": ("name",), "malware": ("name",),
    "observed-data": ("first_observed", "last_observed", "number_observed", "objects"),
    "report": ("name", "published", "object_refs"), "threat-actor": ("name",), "tool": ("name",),
    "vulnerability": ("name",), "relationship": ("relationship_type", "source_ref", "target_ref"),
    "sighting": ("sighting_of_ref",), "marking-definition": ("definition_type", "definition"),
}  # fmt: skip
# What STIX 2.1 has and 2.0 has not: whole types, observables among them, and properties.
_NEW_TYPES = frozenset((
    "grouping", "incident", "infrastructure", "language-content", "location", "malware-analysis", "note", "opinion",
    "extension-definition", "artifact", "autonomous-system", "directory", "domain-name", "email-addr",
    "email-message", "file", "ipv4-addr", "ipv6-addr", "mac-addr", "mutex", "network-traffic", "process", "software",
    "url", "user-account", "windows-registry-key", "x509-certificate",
))  # fmt: skip
_NEW = {
    "attack-pattern": ("aliases",), "tool": ("aliases",), "threat-actor": ("first_seen", "last_seen"),
    "malware": (
        "is_family", "aliases", "first_seen", "last_seen", "operating_system_refs", "architecture_execution_envs",
        "implementation_languages", "capabilities", "sample_refs",
    ),
    "relationship": ("start_time", "stop_time"), "sighting": ("description",), "observed-data": ("object_refs",),
    "marking-definition": ("name",),
}  # fmt: skip
_NEW_EVERYWHERE = ("confidence", "lang", "extensions")
# These say only that an object is one of 2.1.
_SAID = ("spec_version", "pattern_type", "pattern_version")
_REFS = {"report": ("object_refs",), "sighting": ("where_sighted_refs", "observed_data_refs")}
_ENDS = {"relationship": ("source_ref", "target_ref"), "sighting": ("sighting_of_ref",)}
# TLP 1, by which STIX 2.0 knows how strict a marking is.
_WHITE, _GREEN, _AMBER, _RED = (
    f"marking-definition--{uuid}"
    for uuid in (
        "613f2e26-407d-48c7-9eca-b8e91df99dc9", "34098fce-860f-48ae-8e50-ebd3cc5e41da",
        "f88d31f6-486f-44da-b317-01333bde0b82", "5e57c739-391a-4eb3-b6be-7d15ca92d5ed",
    )
)  # fmt: skip
_TLP = {"CLEAR": _WHITE, "GREEN": _GREEN, "AMBER": _AMBER, "AMBER+STRICT": _RED, "RED": _RED}
_FINE = re.compile(r"(\.\d{3})\d+Z$")
_QUOTED = re.compile(r"('(?:[^'\\]|\\.)*')")
_HASHES = {"SSDEEP": "ssdeep", "'SSDEEP'": "'ssdeep'"}


@dataclass(frozen=True)
class Lowered:
    """An object of STIX 2.0, whether it says less than it did; or without one why there is none."""

    whole: Item | None
    less: bool = False
    why: str = ""


def lowered(whole: Item) -> Lowered:
    """An object as STIX 2.0 has it. One that is of 2.0 already comes back as it is."""
    kind = str(whole.get("type"))
    if kind in _NEW_TYPES:
        return Lowered(None, why=f"STIX 2.0 has no {kind}.")
    if "spec_version" not in whole:
        return Lowered(whole)
    if kind == "indicator" and whole.get("pattern_type", "stix") != "stix":
        return Lowered(None, why=f"STIX 2.0 has no patterns of {whole['pattern_type']}.")
    for name in _ENDS.get(kind, ()):
        if not _is_known(whole.get(name)):
            return Lowered(None, why=f"It is about {_type_of(whole.get(name))}, which STIX 2.0 has not.")
    gone = {name for name in (*_NEW.get(kind, ()), *_NEW_EVERYWHERE) if name in whole}
    moved = _MOVED.get(kind, "")
    made = {name: value for name, value in whole.items() if name not in {*gone, *_SAID, moved}}
    less = any(whole[name] is not False and whole[name] not in (None, "", [], {}) for name in gone)
    labels = [*(whole.get(moved) or ()), *(whole.get("labels") or ())]
    if labels or kind in _LABELS:
        made["labels"] = list(dict.fromkeys(labels)) or ["unknown"]
    if kind == "identity":
        made.setdefault("identity_class", "unknown")
    if isinstance(made.get("pattern"), str):
        made["pattern"] = _pattern(made["pattern"])
    for name in _REFS.get(kind, ()):
        kept = [ref for ref in made.get(name) or () if _is_known(ref)]
        less |= len(kept) < len(made.get(name) or ())
        made.pop(name, None)
        made |= {name: kept} if kept else {}
    for name in ("created", "modified"):
        if isinstance(made.get(name), str):
            made[name] = _FINE.sub(r"\1Z", made[name])
    _mark(made, whole, {*gone, *((moved, "labels") if whole.get(moved) else ())})
    if lacking := [name for name in _REQUIRED.get(kind, ()) if made.get(name) in (None, "", [], {})]:
        return Lowered(None, why=f"STIX 2.0 requires {', '.join(lacking)} of it.")
    return Lowered(made, less)


def _type_of(ref: object) -> str:
    return str(ref).partition("--")[0]


def _is_known(ref: object) -> bool:
    return _type_of(ref) not in _NEW_TYPES


def _pattern(text: str) -> str:
    """A pattern with the names of 2.0, outside of what it quotes."""
    parts = _QUOTED.split(text)
    for place in range(0, len(parts), 2):
        for kind, names in RENAMED.items():
            for old, new in names.items():
                parts[place] = re.sub(rf"\b({kind}:){new}\b", rf"\g<1>{old}", parts[place])
        parts[place] = parts[place].replace("hashes.SSDEEP", "hashes.ssdeep")
        if parts[place].endswith("hashes.") and place + 1 < len(parts):
            parts[place + 1] = _HASHES.get(parts[place + 1], parts[place + 1])
    return "".join(parts)


def _mark(made: Item, whole: Item, changed: set[str]) -> None:
    """The markings of 2.0, none of them less strict than they were."""
    refs = list(whole.get("object_marking_refs") or ())
    granular = []
    for each in whole.get("granular_markings") or ():
        if not isinstance(each, dict) or not each.get("marking_ref"):
            continue  # it says a language, which 2.0 does not
        selectors = [one for one in each.get("selectors") or () if str(one).split(".")[0] not in changed]
        if len(selectors) == len(each.get("selectors") or ()):
            granular.append({**each, "marking_ref": _tlp(each["marking_ref"])})
        else:
            refs.append(each["marking_ref"])
    for name, value in (
        ("object_marking_refs", list(dict.fromkeys(map(_tlp, refs)))),
        ("granular_markings", granular),
    ):
        made.pop(name, None)
        made |= {name: value} if value else {}


def _tlp(ref: str) -> str:
    return _TLP[MARKINGS[ref]] if ref in MARKINGS else ref
