"""Where a source has no id: what its records are told apart by instead."""

from __future__ import annotations

from engine.model import Step, TargetModel
from engine.suggest.facts import Candidate, FieldSuggestion

# For a key without a source: the fields that name a record nearly as well, the surest first.
_INSTEAD = {"asset_id": ("hostname", "name", "mac", "ipv4"), "contact_id": ("email", "name", "phone")}
_OBJECT = ("cve", "name", "value")

# 32 hexadecimal digits as a UUID with version and variant in place (RFC 9562: 8, made our own way).
_UUID = (r"^(.{8})(.{4}).(.{3}).(.{3})(.{12})$", r"\1-\2-8\3-8\4-\5")


def identify(target: TargetModel, found: dict[str, FieldSuggestion]) -> list[str]:
    """Fill a required key that no source field feeds from what tells the records apart; say so in a note."""
    notes = []
    for key in target.key:
        held = found[key]
        if not held.required or held.accepted:
            continue
        is_object = key == "id" and "spec_version" in found
        named = (found[name] for name in (_OBJECT if is_object else _INSTEAD.get(key, ())) if name in found)
        instead = next(
            (field for field in named if field.accepted and field.best and field.sql is None), None
        )
        if instead is None or instead.best is None:
            continue
        steps = (*instead.steps, *_object_id(target.name)) if is_object else instead.steps
        best = Candidate(
            source=instead.best.source,
            score=instead.best.score,
            reasons=(f"no source field is an id, so {instead.field} tells the records apart",),
        )
        found[key] = held.model_copy(
            update={"best": best, "runner_up": held.best, "accepted": True, "derived": True, "steps": steps}
        )
        notes.append(
            f"{key} is worked out from {instead.best.source}: records with the same one count as one."
        )
    return notes


def _object_id(kind: str) -> tuple[Step, ...]:
    """A STIX id that is the same for the same text, whatever its case and outer spaces."""
    find, replacement = _UUID
    return (
        Step(step="trim"),
        Step(step="lower"),
        Step(step="hash", options={"algorithm": "md5"}),
        Step(step="replace", options={"find": find, "with": replacement, "regex": True}),
        Step(step="prefix", options={"text": f"{kind}--"}),
    )
