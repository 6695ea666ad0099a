"""Drift: whether a source still looks the way its mapping was written for, and in what it differs.

Two looks are compared: what is known of the source, and what a run found. Both are counts over rows that
were looked at, so what is said of them is statistics: see `gone_by_chance` and `compare`. Where fields are
columns with a header, their names are certain and need none.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Literal

from engine.drift_look import MARKS, FieldLook, Look
from engine.drift_types import WORDS, fits
from engine.model import Data
from engine.suggest.names import words_of

# Rows come in bunches (one reporter, one day), so so many rows tell as much as one row would alone.
BUNCHED = 4
# How often in a thousand runs chance alone may make us say something, over all fields together.
FALSE_ALARMS = 0.001
# A type has changed where so much more of the values does not fit than ever before.
MISFITS = 0.05
LEAST_VALUES = 3
LIKELY = 0.5
# Normal quantile of 99.95 %: bounds of a share that chance crosses once in two thousand times.
_Z = 3.29
_EXAMPLES = 3
_SWAPPED = 0.5

Kind = Literal["new", "rename", "type", "vanished"]
KINDS: tuple[Kind, ...] = ("rename", "vanished", "type", "new")


class Finding(Data):
    """One way a source differs: a field that is new, has another name, other values, or is gone.

    `field` is the field as the mapping knows it, or the new one; `to` its new name. `rows` of the `of` rows
    looked at show it. `likelihood` is how sure a rename is. `says` tells it with its evidence.
    """

    kind: Kind
    field: str
    to: str = ""
    says: str
    rows: int
    of: int
    likelihood: float = 1.0
    was: str = ""
    now: str = ""
    examples: tuple[str, ...] = ()


def compare(known: Look, found: Look) -> tuple[Finding, ...]:
    """What differs between what is known and what was found; nothing where too little was looked at to tell.

    The order of fields and rows does not matter, and more rows of the same kind find nothing.
    """
    if not found.rows and not found.certain:
        return ()
    before, after = {f.name: f for f in known.fields}, {f.name: f for f in found.fields}
    alarm = FALSE_ALARMS / max(1, len(before))
    gone = [f for f in known.fields if _is_gone(f, after.get(f.name), known, found, alarm)]
    fresh = [f for f in found.fields if _is_new(f, before.get(f.name), known, found, alarm)]
    changed = [
        (f, after[f.name])
        for f in known.fields
        if f.name in after and f not in gone and type_changed(f, after[f.name])
    ]
    swaps = _swapped([(f, after[f.name]) for f in known.fields if f.name in after and f not in gone], changed)
    renames = [*swaps, *_renamed(gone, fresh, known, found)]
    from_, to_ = {f.name for f, _, _ in renames}, {g.name for _, g, _ in renames}
    findings = [_rename(f, g, sure, why, found) for f, g, (sure, why) in renames]
    findings += [_gone(f, known, found) for f in gone if f.name not in from_]
    findings += [_type(f, g) for f, g in changed if f.name not in from_]
    findings += [_new(g, found) for g in fresh if g.name not in to_]
    return tuple(sorted(findings, key=lambda each: (KINDS.index(each.kind), each.field)))


def learned(known: Look, found: Look, *, new: bool = True) -> Look:
    """What is known once a run that is as expected has been looked at; without `new`, of known fields only."""
    whole = known.merged(found)
    if new:
        return whole
    names = {f.name for f in known.fields}
    return whole.model_copy(update={"fields": tuple(f for f in whole.fields if f.name in names)})


def settled(known: Look, found: Look, findings: Sequence[Finding]) -> Look:
    """What is known once a person has taken what was found as what is to be expected from now on."""
    told = {name for f in findings for name in (f.field, f.to) if name}
    before = {f.name: f for f in known.fields}
    fields = []
    for field in found.fields:
        old = before.get(field.name)
        if old is not None and field.name not in told:
            field = field.model_copy(update={"marks": old.merged(field).marks, "missed": old.missed})
        fields.append(field)
    there = {f.name for f in found.fields}
    scale = found.rows / known.rows if known.rows else 1.0
    for old in known.fields:
        # What was too rare to be missed is still to be expected.
        if old.name not in there and old.name not in told:
            tags = {name: max(1, round(n * scale)) for name, n in old.tags.items()}
            fields.append(old.model_copy(update={"tags": tags, "filled": sum(tags.values())}))
    return found.model_copy(update={"fields": tuple(fields)})


# ── chance ───────────────────────────────────────────────────────────────────────────────────────────


def bounds(hits: int, of: int) -> tuple[float, float]:
    """Between what shares the true one lies (Wilson's score interval at 99.9 %)."""
    if not of:
        return 0.0, 1.0
    share, z2 = hits / of, _Z * _Z
    middle = (share + z2 / (2 * of)) / (1 + z2 / of)
    half = _Z * sqrt(share * (1 - share) / of + z2 / (4 * of * of)) / (1 + z2 / of)
    return max(0.0, middle - half), min(1.0, middle + half)


def gone_by_chance(filled: int, rows: int, looked: int) -> float:
    """How likely `looked` rows without a value are, of a field that had one in `filled` of `rows`.

    The share is taken at its lower bound, and every four rows count as one.
    """
    low, _ = bounds(filled, rows)
    return float((1 - low) ** (looked / BUNCHED))


def type_changed(known: FieldLook, found: FieldLook) -> bool:
    """Whether more of the values don't fit the field's type than chance and habit explain."""
    type = known.type
    if type == "nothing" or found.filled < LEAST_VALUES:
        return False
    misfits = sum(n for name, n in found.tags.items() if not fits(type, name))
    habit = sum(n for name, n in known.tags.items() if not fits(type, name))
    low, _ = bounds(misfits, found.filled)
    _, high = bounds(habit, known.filled)
    return misfits >= LEAST_VALUES and low > high + MISFITS


def _is_gone(field: FieldLook, after: FieldLook | None, known: Look, found: Look, alarm: float) -> bool:
    if not field.filled and not known.certain:
        return False
    if found.certain:
        if after is None:
            return True
    elif found.rows <= 2 * field.missed:
        return False
    if (after is not None and after.filled) or found.rows <= 2 * field.missed:
        return False
    return gone_by_chance(field.filled, known.rows, found.rows) < alarm


def _is_new(field: FieldLook, before: FieldLook | None, known: Look, found: Look, alarm: float) -> bool:
    """Whether a field was never there before and is not just too rare to have been seen."""
    if before is not None and (before.filled or known.certain):
        return False
    if found.certain and before is None:
        return True
    if not field.filled or field.name in known.maps:
        return False
    return gone_by_chance(field.filled, found.rows, known.rows) < alarm


# ── other names ──────────────────────────────────────────────────────────────────────────────────────

Sure = tuple[float, str]


def _renamed(
    gone: Sequence[FieldLook], fresh: Sequence[FieldLook], known: Look, found: Look
) -> list[tuple[FieldLook, FieldLook, Sure]]:
    """Each vanished field with the new one that takes its place, the surest pairs first, each once."""
    pairs = []
    for old in gone:
        for new in fresh:
            sure, why = likelihood(old, new, known.rows, found.rows)
            rivals = sum(other.type == new.type for other in fresh) + sum(f.type == old.type for f in gone)
            if rivals == 2 and old.type == new.type not in ("text", "nothing"):
                sure, why = 1 - 0.6 * (1 - sure), f"{why}, and no other field that came or went is like it"
            pairs.append((sure, old, new, why))
    taken: set[str] = set()
    chosen = []
    for sure, old, new, why in sorted(pairs, key=lambda pair: (-pair[0], pair[1].name, pair[2].name)):
        if sure >= LIKELY and not {f"-{old.name}", f"+{new.name}"} & taken:
            taken |= {f"-{old.name}", f"+{new.name}"}
            chosen.append((old, new, (sure, why)))
    return chosen


def likelihood(old: FieldLook, new: FieldLook, known_rows: int, found_rows: int) -> Sure:
    """How likely one field is the other under a new name (0 to 1), and why: by name, values and type."""
    alike, shared = name_likeness(old.name, new.name), overlap(old, new)
    reasons: list[str] = []
    if alike >= 0.4:
        reasons.append("the names are alike")
    if shared:
        reasons.append(f"{100 * shared:.0f} % of its values are known of {old.name}")
    sure = 1 - (1 - 0.8 * alike) * (1 - 0.9 * shared)
    if new.filled and old.filled:
        if old.type == new.type:
            reasons.append(f"both hold {WORDS[old.type]}")
            sure = 1 - (1 - sure) * (0.9 if old.type == "text" else 0.7)
        elif not any(fits(old.type, name) for name in new.tags):
            sure *= 0.4
        fill = abs(old.filled / max(1, known_rows) - new.filled / max(1, found_rows))
        sure *= 1 - 0.3 * fill
        # Values that never come twice, as an identifier's, can't be known; those that do can.
        if _repeats(old) and _repeats(new) and not shared:
            sure *= 0.6
    return min(sure, 0.99), ", ".join(reasons) or "nothing speaks against it"


def name_likeness(one: str, other: str) -> float:
    """How alike two names are, 0 to 1: by their words, as people and systems spell them differently."""
    a, b = set(words_of(one)), set(words_of(other))
    if not a or not b:
        return float(one.strip().lower() == other.strip().lower())
    if a == b:
        return 1.0
    return len(a & b) / len(a | b)


def overlap(known: FieldLook, found: FieldLook) -> float:
    """What share of the found values was known, estimated from their smallest hashes."""
    if not known.marks or not found.marks:
        return 0.0
    # Below the largest hash that both kept, either holds all it has seen.
    reach = min(m[-1] if len(m) >= MARKS else 1 << 62 for m in (known.marks, found.marks))
    there = [mark for mark in found.marks if mark <= reach]
    return len(set(there) & set(known.marks)) / len(there) if there else 0.0


def _repeats(field: FieldLook) -> bool:
    """Whether values come again and again, so that knowing them means something."""
    return len(field.marks) < min(MARKS, 0.6 * field.filled)


def _swapped(
    both: Sequence[tuple[FieldLook, FieldLook]], changed: Sequence[tuple[FieldLook, FieldLook]]
) -> list[tuple[FieldLook, FieldLook, Sure]]:
    """Fields that have each other's values: by values known of the other, or where each now has the other's type."""
    odd = {old.name for old, _ in changed}
    doubtful = [
        (old, new) for old, new in both if old.name in odd or (len(new.marks) > 1 and overlap(old, new) < 0.2)
    ]
    found = []
    taken: set[str] = set()
    for i, (a, a_now) in enumerate(doubtful):
        for b, b_now in doubtful[i + 1 :]:
            if {a.name, b.name} & taken:
                continue
            shared = min(overlap(b, a_now), overlap(a, b_now))
            typed = (
                {a.name, b.name} <= odd and a.type != b.type and a_now.type == b.type and b_now.type == a.type
            )
            if shared >= _SWAPPED or typed:
                why = (
                    f"{100 * shared:.0f} % of the values are known of the other"
                    if shared
                    else "each has the other's type"
                )
                sure = max(0.9 * shared + 0.09, 0.7 if typed else 0.0)
                taken |= {a.name, b.name}
                found += [(a, b_now, (sure, why)), (b, a_now, (sure, why))]
    return found


# ── words ────────────────────────────────────────────────────────────────────────────────────────────


def _rename(old: FieldLook, new: FieldLook, sure: float, why: str, found: Look) -> Finding:
    return Finding(
        kind="rename", field=old.name, to=new.name, rows=new.filled, of=found.rows, likelihood=round(sure, 2),
        was=old.type, now=new.type, examples=new.examples[:_EXAMPLES],
        says=f"{old.name} is called {new.name} now, {100 * sure:.0f} % likely: {why}.",
    )  # fmt: skip


def _gone(field: FieldLook, known: Look, found: Look) -> Finding:
    if found.certain and field.name not in {f.name for f in found.fields}:
        says = f"{field.name} is no column any more."
    else:
        says = (
            f"{field.name} is gone: it had a value in {_share(field.filled, known.rows)} of {known.rows:,} rows looked "
            f"at before and has one in none of {found.rows:,}."
        )
    return Finding(
        kind="vanished", field=field.name, rows=found.rows, of=found.rows, was=field.type, now="nothing",
        examples=field.examples[:_EXAMPLES], says=says,
    )  # fmt: skip


def _type(old: FieldLook, new: FieldLook) -> Finding:
    misfits = sum(n for name, n in new.tags.items() if not fits(old.type, name))
    return Finding(
        kind="type", field=old.name, rows=misfits, of=new.filled, was=old.type, now=new.type,
        examples=new.examples[:_EXAMPLES],
        says=f"{old.name} held {WORDS[old.type]} and holds {WORDS[new.type]} now: {misfits:,} of {new.filled:,} values "
        "looked at are not as they were." if old.type != new.type else
        f"{old.name} holds {WORDS[old.type]}, and {misfits:,} of {new.filled:,} values looked at are none.",
    )  # fmt: skip


def _new(field: FieldLook, found: Look) -> Finding:
    holds = f" with {WORDS[field.type]}" if field.filled and field.type != "text" else ""
    return Finding(
        kind="new", field=field.name, rows=field.filled, of=found.rows, now=field.type,
        examples=field.examples[:_EXAMPLES],
        says=f"{field.name} is new{holds}: {field.filled:,} of {found.rows:,} rows looked at have it.",
    )  # fmt: skip


def _share(part: int, whole: int) -> str:
    share = 100 * part / max(1, whole)
    return f"{share:.1f} %" if share < 10 else f"{share:.0f} %"
