"""How much a column's values say for or against a target field, whatever the column is called."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from engine import types
from engine.model import FieldType, TargetField, TargetModel
from engine.profile import Column
from engine.profile.shapes import PLACEHOLDERS
from engine.suggest.names import words_of

# How surely a value of this kind is an indicator and not, say, the id of its record.
INDICATOR_KINDS = {
    "ipv4": 1.0, "ipv6": 1.0, "cidr": 1.0, "domain": 1.0, "url": 1.0, "email": 1.0, "md5": 1.0, "sha1": 1.0,
    "sha224": 1.0, "sha256": 1.0, "sha384": 1.0, "sha512": 1.0, "ssdeep": 0.8, "tlsh": 0.7, "jarm": 0.7,
    "bitcoin": 1.0, "ethereum": 1.0, "mac": 0.6, "filename": 0.5, "file-path": 0.6, "registry-key": 0.7,
    "user-agent": 0.5, "yara": 0.6, "asn": 0.4, "cve": 0.3,
}  # fmt: skip

# Several columns of indicators side by side: the one that says most comes first.
PRIMARY = ("sha256", "sha512", "sha1", "md5", "url", "ipv4", "ipv6", "cidr", "email", "domain")

# Kinds whose values say what they are; the others (a port, a country) are only believed with the name.
TELLING = frozenset(INDICATOR_KINDS) | {"cwe", "uuid", "stix-id"}
_DIGESTS = frozenset(
    {"md5", "sha1", "sha224", "sha256", "sha384", "sha512", "imphash", "ja3", "ja3s", "jarm"}
)
_STIX = frozenset({"id", "type", "spec_version", "created_by_ref", "object_marking_refs"})
_PROSE = frozenset({"description", "title", "labels", "threat", "name", "severity", "status"})
_ALIKE = {"imphash": "md5", "ja3": "md5", "ja3s": "md5"}


@dataclass(frozen=True)
class Evidence:
    """`strength` (0 to 1) speaks for the pair, `cap` is the highest score it may have, with reasons for both."""

    strength: float = 0.0
    cap: int = 100
    reasons: tuple[str, ...] = ()
    # Settles between equals only: points that are not shown.
    lead: float = 0.0


@cache
def _meanings(vocabulary: str) -> dict[tuple[str, ...], str]:
    """The vocabulary's words by what they mean, so that `IP-Adresse` is `ip address`."""
    found: dict[tuple[str, ...], str] = {}
    for word, value in types.VOCABULARIES[vocabulary].words().items():
        found.setdefault(words_of(word), value)
    return found


def meant(vocabulary: str, text: str) -> str | None:
    """The vocabulary's value for a word, also where it is written in another language; None where unknown."""
    known = types.VOCABULARIES[vocabulary].words().get(text.strip().lower())
    return known if known is not None else _meanings(vocabulary).get(words_of(text))


def known_share(column: Column, vocabulary: str) -> float:
    """What share of the filled values the vocabulary knows; every entry of a list must be known."""
    counted = {top.value: top.count for top in column.top} or dict.fromkeys(column.samples, 1)
    known = total = 0
    for value, n in counted.items():
        if (text := value.strip()) and text.lower() not in PLACEHOLDERS:
            parts = [part.strip(" \"'") for part in text.strip("[]").replace(";", ",").split(",")]
            known += n * (
                meant(vocabulary, text) is not None or all(meant(vocabulary, p) is not None for p in parts)
            )
            total += n
    return known / total if total else 0.0


def indicator_share(column: Column) -> float:
    """What share of the sampled values is an indicator, uncertain kinds counted in part."""
    total = sum(column.shapes.values())
    return sum(INDICATOR_KINDS.get(tag, 0) * n for tag, n in column.shapes.items()) / total if total else 0.0


def main_kind(column: Column) -> str:
    """The commonest kind of indicator among the sampled values; empty where there is none."""
    kinds = {tag: n for tag, n in column.shapes.items() if tag in INDICATOR_KINDS}
    return max(sorted(kinds), key=lambda tag: kinds[tag]) if kinds else ""


def evidence(column: Column, field: TargetField, target: TargetModel) -> Evidence:
    """What the column's values say about it feeding that field of the target."""
    if not column.filled:
        return Evidence(0.0, 100, ("the column is empty",))
    if field.name in _STIX and any(other.name == "spec_version" for other in target.fields):
        return _stix(column, field, target)
    if field.kind == "indicator":
        return _indicator(column)
    if field.kind:
        return _kind(column, field.kind)
    if field.vocabulary and field.vocabulary in types.VOCABULARIES:
        return _vocabulary(column, field)
    match field.type:
        case FieldType.TIMESTAMP | FieldType.DATE:
            return _moment(column)
        case FieldType.INTEGER | FieldType.DECIMAL:
            return _number(column, field)
        case FieldType.BOOLEAN:
            return _boolean(column)
        case FieldType.JSON:
            return _json(column, field)
        case _:
            return _text(column, field)


def _stix(column: Column, field: TargetField, target: TargetModel) -> Evidence:
    """Properties of STIX objects are called as anything is; only their values tell."""
    match field.name:
        case "type":
            share = sum(sample.lower() == target.name for sample in column.samples) / max(
                1, len(column.samples)
            )
        case "spec_version":
            share = sum(sample in ("2.0", "2.1") for sample in column.samples) / max(1, len(column.samples))
        case _:
            share = column.fits.get("stix-id", 0.0)
            if column.type == "json":
                share = sum("--" in sample for sample in column.samples) / max(1, len(column.samples))
    if share < 0.5:
        return Evidence(0.0, 40, ("the values are not those of STIX objects",))
    return Evidence(0.65 * share, 100, ("the values are those of STIX objects",))


def _percent(share: float) -> str:
    return f"{int(share * 1000) / 10:g} %"


def _capped(failing: float) -> int:
    """The highest score of a pair some of whose values fail: a tenth is forgiven, half is not."""
    for limit, cap in ((0.005, 100), (0.1, 92), (0.3, 80), (0.5, 59)):
        if failing <= limit:
            return cap
    return 35


def _indicator(column: Column) -> Evidence:
    share = indicator_share(column)
    recognised = column.fits.get("indicator", 0.0)
    kind = main_kind(column)
    if share < 0.2:
        return Evidence(0.0, 45, (f"only {_percent(recognised)} of the values are indicators",))
    cap = 100 if recognised >= 0.95 else 95 if recognised >= 0.5 else 59
    reason = (
        f"{_percent(column.shapes.get(kind, 0) / sum(column.shapes.values()))} of the values are {kind}"
        if column.type == kind
        else f"{_percent(recognised)} of the values are indicators of several kinds"
    )
    order = PRIMARY.index(kind) if kind in PRIMARY else len(PRIMARY)
    return Evidence(0.70 * share, cap, (reason,), 1.2 * (len(PRIMARY) - order))


def _kind(column: Column, kind: str) -> Evidence:
    share = column.fits.get(kind, 0.0)
    total = sum(column.shapes.values()) or 1
    seen = column.shapes.get(_ALIKE.get(kind, kind), 0) / total
    cap = _capped(1 - share)
    if cap <= 59:
        return Evidence(0.0, cap, (f"{_percent(1 - share)} of the values are not {kind}",))
    reasons = (f"{_percent(share)} of the values are {kind}",)
    if kind in _ALIKE:
        return Evidence(0.1 * seen, cap, reasons)
    if kind in TELLING and seen:
        return Evidence(0.75 * seen, cap, reasons)
    return Evidence(0.15 * share, cap, reasons)


def _vocabulary(column: Column, field: TargetField) -> Evidence:
    vocabulary = types.VOCABULARIES[field.vocabulary or ""]
    share = known_share(column, vocabulary.name)
    words = f"{_percent(share)} of the values are words of “{vocabulary.title or vocabulary.name}”"
    if field.type in (FieldType.INTEGER, FieldType.DECIMAL):
        number = _number(column, field)
        return (
            number
            if number.cap > 59
            else Evidence(0.2 * share, max(number.cap, _capped(1 - share)), (words,))
        )
    if vocabulary.name == "tlp" and column.type == "tlp":
        share = max(share, column.share)
    if vocabulary.open:
        telling = 0.5 if vocabulary.name in ("indicator-kind", "misp-type") else 0.25
        stray = column.type not in ("text", "empty") and share < 0.5
        return Evidence(telling * share, 55 if stray else 100 if share else 88, (words,) if share else ())
    cap = _capped(1 - share)
    telling = 0.65 if vocabulary.name == "tlp" else 0.25
    return Evidence(telling * share if cap > 59 else 0.0, cap, (words,))


def _moment(column: Column) -> Evidence:
    if column.type not in ("date", "timestamp"):
        return Evidence(0.0, 35, (f"the values are {_called(column)}, not dates",))
    reasons = [f"{_percent(column.share)} of the values are dates"]
    if column.ambiguous_dates:
        reasons.append("day and month could be either way round: choose")
    return Evidence(0.35, _capped(1 - column.share), tuple(reasons))


def _number(column: Column, field: TargetField) -> Evidence:
    numeric = column.type in ("integer", "number")
    words = known_share(column, "confidence") if field.name == "confidence" and not numeric else 0.0
    if words >= 0.5:
        return Evidence(
            0.2 * words, _capped(1 - words), (f"{_percent(words)} of the values are words of confidence",)
        )
    if not numeric and not column.dates:
        return Evidence(0.0, 40, (f"the values are {_called(column)}, not numbers",))
    cap = _capped(1 - column.share)
    if column.leading_zeros and field.type is FieldType.INTEGER:
        return Evidence(0.0, 59, ("leading zeros would be lost",))
    spread = column.numbers
    if field.name in ("confidence", "score") and spread and (spread.lowest < 0 or spread.highest > 100):
        return Evidence(
            0.0, 70, (f"values from {spread.lowest:g} to {spread.highest:g} do not fit 0 to 100",)
        )
    if field.type is FieldType.INTEGER and column.type == "number" and field.name != "confidence":
        return Evidence(0.0, 50, ("the values have decimals",))
    return Evidence(0.15, cap, ("the values are numbers",))


def _boolean(column: Column) -> Evidence:
    zero_one = column.type == "integer" and bool(column.samples) and set(column.samples) <= {"0", "1"}
    if column.type == "boolean" or zero_one:
        return Evidence(0.2, 100, ("the values are yes or no",))
    return Evidence(0.0, 35, (f"the values are {_called(column)}, not yes or no",))


def _json(column: Column, field: TargetField) -> Evidence:
    if column.type == "json":
        return Evidence(0.2, _capped(1 - column.share), ("the values are JSON",))
    if field.name == "external_references" and column.type == "url":
        return Evidence(0.1, 90, ("each value is a link, which becomes a reference",))
    return Evidence(0.0, 59, ("the values are not JSON",))


def _text(column: Column, field: TargetField) -> Evidence:
    is_id = field.name == "id" or field.name.endswith(("_id", "_ref", "_refs"))
    if column.type in ("boolean", "date", "timestamp"):
        return Evidence(0.0, 58, (f"the values are {_called(column)}",))
    if column.type == "tlp":
        return Evidence(0.0, 50, ("the values are TLP markings",))
    if is_id:
        return Evidence(0.05, 100)
    if column.type in _DIGESTS or (column.type in INDICATOR_KINDS and field.name in _PROSE - {"name"}):
        return Evidence(0.0, 58, (f"the values are {column.type}",))
    if column.type in ("integer", "number") and field.name in _PROSE | {"source"}:
        return Evidence(0.0, 58, ("the values are numbers",))
    return Evidence()


def _called(column: Column) -> str:
    return {
        "text": "text", "integer": "whole numbers", "number": "numbers", "boolean": "yes or no", "date": "dates",
        "timestamp": "dates and times", "json": "JSON", "tlp": "TLP markings",
    }.get(column.type, column.type)  # fmt: skip
