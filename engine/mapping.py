"""Mappings as YAML on disk, as a content address, and the difference between two of them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import yaml
from pydantic import ValidationError

from engine.model import Mapping
from engine.steps.catalogue import BadMapping, told

LARGEST = 1_000_000
MOST_EVENTS = 200_000
DEEPEST = 20


def canonical_json(mapping: Mapping) -> str:
    """The mapping as JSON with sorted keys, nothing idle, names as on disk: equal mappings, equal text."""
    data = mapping.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def address(mapping: Mapping) -> str:
    """The mapping's content address: 12 hexadecimal digits that name this very version."""
    return hashlib.sha256(canonical_json(mapping).encode()).hexdigest()[:12]


def to_yaml(mapping: Mapping) -> str:
    """The mapping as YAML; equal mappings give equal bytes."""
    names = [item.field for item in mapping.fields]
    if len(set(names)) != len(names):
        raise BadMapping("A field is mapped twice.")
    data: dict[str, Any] = {"target": mapping.target}
    if mapping.where is not None:
        data["where"] = mapping.where
    if mapping.explode is not None:
        data["explode"] = mapping.explode
    data["fields"] = {
        item.field: _field_out(item.model_dump(mode="json", by_alias=True)) for item in mapping.fields
    }
    if mapping.rules:
        data["rules"] = [{k: _sorted(v) for k, v in _dump(rule).items()} for rule in mapping.rules]
    return yaml.dump(
        data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2**20, default_flow_style=False
    )


def from_yaml(text: str) -> Mapping:
    """The mapping a YAML text says; a Stop error naming the line where it says none."""
    data, lines = _read(text)
    if not isinstance(data, dict):
        raise BadMapping("line 1: a mapping begins with `target:`.")
    fields = data.get("fields", {})
    if not isinstance(fields, dict):
        raise BadMapping(
            f"line {lines['fields',]}: `fields` is a list of target fields, each with `from:`, `constant:` or `sql:`."
        )
    data["fields"] = [_field_in(name, item, lines) for name, item in fields.items()]
    try:
        return Mapping.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = _place(first["loc"], list(fields))
        raise BadMapping(f"line {_line(lines, place)}: {told(error, near=True)}.") from error


def _field_out(item: dict[str, Any]) -> dict[str, Any]:
    steps = [s["step"] if not s["options"] else {s["step"]: _sorted(s["options"])} for s in item["steps"]]
    origin = {key: item[key] for key in ("from", "constant", "sql") if item[key] is not None}
    return {**origin, **({"steps": steps} if steps else {})}


def _sorted(value: Any) -> Any:
    """Keys in order all the way down: their order means nothing, so it may not show."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def _field_in(name: str, item: Any, lines: dict[tuple[Any, ...], int]) -> dict[str, Any]:
    if isinstance(item, str):
        return {"field": name, "from": item}
    if not isinstance(item, dict):
        raise BadMapping(
            f"line {_line(lines, ('fields', name))}: {name} needs `from:`, `constant:` or `sql:`."
        )
    steps = item.get("steps", [])
    if not isinstance(steps, list):
        raise BadMapping(f"line {_line(lines, ('fields', name, 'steps'))}: `steps` is a list.")
    read: list[dict[str, Any]] = []
    for number, one in enumerate(steps):
        where = f"line {_line(lines, ('fields', name, 'steps', number))}"
        if isinstance(one, str):
            read.append({"step": one})
        elif isinstance(one, dict) and len(one) == 1:
            read.extend({"step": step, "options": options or {}} for step, options in one.items())
        else:
            raise BadMapping(f"{where}: a step is its name, or its name with options below.")
    return {"field": name, **item, "steps": read}


def _place(loc: tuple[int | str, ...], fields: list[str]) -> tuple[Any, ...]:
    """Where pydantic's location stands in the YAML, whose fields have names instead of numbers."""
    if len(loc) > 1 and loc[0] == "fields" and isinstance(loc[1], int):
        return ("fields", fields[loc[1]], *loc[2:])
    return loc


def _line(lines: dict[tuple[Any, ...], int], place: tuple[Any, ...]) -> int:
    while place and place not in lines:
        place = place[:-1]
    return lines.get(place, 1)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    # YAML 1.1 takes these for line ends; only double quotes keep them as they are.
    style = '"' if any(c in text for c in "\r\x85\u2028\u2029\ufeff") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


class _Loader(yaml.SafeLoader):
    """YAML without its surprises: `no`, `012` and `2024-01-31` are text, as they look."""

    yaml_implicit_resolvers: dict[str, Any] = {}


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:null", re.compile("^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile("^[-+]?(?:0|[1-9][0-9]*)$"), list("-+0123456789")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+\.[0-9]*(?:[eE][-+][0-9]+)?$"), list("-+0123456789")
)


def _read(text: str) -> tuple[Any, dict[tuple[Any, ...], int]]:
    """Plain data, and the line of every place in it. No aliases, tags or depths that could hurt."""
    if len(text) > LARGEST:
        raise BadMapping(f"The mapping is longer than {LARGEST} characters.")
    lines: dict[tuple[Any, ...], int] = {}
    try:
        depth = 0
        for number, event in enumerate(yaml.parse(text, Loader=_Loader)):
            line = _at(event)
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                raise BadMapping(f"line {line}: anchors and aliases are not allowed.")
            if getattr(event, "tag", None):
                raise BadMapping(f"line {line}: tags are not allowed.")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEPEST or number > MOST_EVENTS:
                raise BadMapping(f"line {line}: this is too deep or too long for a mapping.")
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}: " if mark else ""
        raise BadMapping(f"{where}this is not YAML: {error.problem}.") from error
    except yaml.YAMLError as error:
        raise BadMapping("This is not YAML: it holds characters that text may not hold.") from error
    return (_plain(node, (), lines) if node is not None else None), lines


def _at(thing: Any) -> int:
    """The line a YAML event or node begins on, from 1."""
    return int(thing.start_mark.line) + 1


def _plain(node: yaml.Node, place: tuple[Any, ...], lines: dict[tuple[Any, ...], int]) -> Any:
    lines[place] = _at(node)
    if isinstance(node, yaml.MappingNode):
        data: dict[str, Any] = {}
        for key, value in node.value:
            line = _at(key)
            if not isinstance(key, yaml.ScalarNode):
                raise BadMapping(f"line {line}: a name must be plain text.")
            if key.value in data:
                raise BadMapping(f"line {line}: {key.value} stands twice.")
            data[key.value] = _plain(value, (*place, key.value), lines)
            lines[(*place, key.value)] = line
        return data
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*place, number), lines) for number, item in enumerate(node.value)]
    match node.tag.rsplit(":", 1)[-1]:
        case "null":
            return None
        case "bool":
            return node.value.lower() == "true"
        case "int":
            return int(node.value)
        case "float":
            return float(node.value)
        case _:
            return str(node.value)


@dataclass(frozen=True)
class Change:
    """One difference between two mappings. `before` and `after` are plain data; None where there is nothing.

    `part` tells what of a field or rule changed: origin, steps, or an attribute such as severity.
    """

    what: Literal["field", "rule", "target", "where", "explode"]
    name: str
    how: Literal["added", "removed", "changed"]
    part: str = ""
    before: Any = None
    after: Any = None


def difference(old: Mapping, new: Mapping) -> tuple[Change, ...]:
    """What changed in meaning from one mapping to another; the order of fields and rules does not count."""
    return tuple(_differences(old, new))


def _differences(old: Mapping, new: Mapping) -> Iterator[Change]:
    for what in ("target", "where", "explode"):
        yield from _one(what, what, "", getattr(old, what), getattr(new, what))
    for one in _pairs({f.field: f for f in old.fields}, {f.field: f for f in new.fields}):
        name, before, after = one
        if before is None or after is None:
            yield from _one("field", name, "", before and _dump(before), after and _dump(after))
            continue
        a, b = _dump(before), _dump(after)
        yield from _one("field", name, "steps", a.pop("steps", None), b.pop("steps", None), "changed")
        yield from _one("field", name, "origin", a, b, "changed")
    for name, before, after in _pairs({r.id: r for r in old.rules}, {r.id: r for r in new.rules}):
        if before is None or after is None:
            yield from _one("rule", name, "", before and _dump(before), after and _dump(after))
            continue
        a, b = _dump(before), _dump(after)
        for part in dict.fromkeys((*a, *b)):
            yield from _one("rule", name, part, a.get(part), b.get(part), "changed")


def _one(what: Any, name: str, part: str, before: Any, after: Any, how: Any = None) -> Iterator[Change]:
    if before != after:
        how = how or ("added" if before is None else "removed" if after is None else "changed")
        yield Change(what, name, how, part, before, after)


def _pairs(old: dict[str, Any], new: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for name in dict.fromkeys((*old, *new)):
        yield name, old.get(name), new.get(name)


def _dump(noun: Any) -> dict[str, Any]:
    data: dict[str, Any] = noun.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return data
