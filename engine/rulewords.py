"""Rules as sentences: what each demands, with its options in their places."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from engine.model import Rule
from engine.rules import options_of

# [field] is the rule's own field; {name} an option. What stands in <> is left out where its options are empty.
SENTENCES: Mapping[str, str] = {
    "required": "[field] has a value",
    "type": "[field] reads as {type}",
    "range": "[field] is <at least {min}>< and ><at most {max}>",
    "length": "[field] has <at least {min}>< and ><at most {max}> characters or entries",
    "regex": "[field] matches the pattern {pattern}",
    "in": "[field] is one of <{values}><the vocabulary {vocabulary}>",
    "not_in": "[field] is none of <{values}><the vocabulary {vocabulary}>",
    "unique": "[field] occurs once<, together with {fields}>",
    "reference": "[field] is the {field} of a stored {target}",
    "date_order": "[field] is <not before {after}><not after {before}>",
    "compare": "[field] is {is} <{field}><{value}>",
    "freshness": "the newest [field] of a run is no older than {within}",
    "volume": "a run brings <at least {min}>< and ><at most {max}> rows, counting those {of}",
    "expression": "{sql}",
}
_COMPARED = {
    "=": "equal to", "!=": "different from", "<": "less than", "<=": "at most", ">": "more than", ">=": "at least",
}  # fmt: skip
_PART = re.compile(r"<([^>]*)>")
_OPTION = re.compile(r"\{(\w+)\}")
_MOST = 6


def says(rule: Rule) -> str:
    """The rule as a sentence, for a person: `confidence is at least 0 and at most 100`."""
    told = options_of(rule)
    given = {name: _word(name, value) for name, value in told.model_dump(by_alias=True).items()}
    text = SENTENCES[rule.operator]
    both = given.get("min") and given.get("max")
    text = text.replace("< and >", " and " if both else "")
    text = _PART.sub(
        lambda part: part[1] if all(given.get(n) for n in _OPTION.findall(part[1])) else "", text
    )
    text = _OPTION.sub(lambda option: given.get(option[1]) or "", text)
    return text.replace("[field]", rule.field or "the row").strip()


def _word(name: str, value: Any) -> str:
    if value is None or value == ():
        return ""
    if isinstance(value, list | tuple):
        more = f" and {len(value) - _MOST:,} more" if len(value) > _MOST else ""
        return ", ".join(str(each) for each in value[:_MOST]) + more
    return _COMPARED.get(str(value), str(value)) if name == "is" else str(value)
