"""Relations: what a record has to do with others, by STIX relationships and references, by MISP, and by value.

Every way is one step long: the record in the middle, and those it leads to or that lead to it.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from duckdb import DuckDBPyConnection

from engine.model import FieldType, TargetModel
from engine.observed import opened
from engine.scan import identifier
from storage import filters, records

# A marking holds for half of the store; it is told beside the record, not drawn as an acquaintance.
_NOT_A_WAY = ("object_marking_refs",)
# Values of these kinds are shared by records that have nothing to do with each other.
_TOO_COMMON = ("asn", "cwe", "port", "country")
_NAMED_BY = (
    "name", "value", "cve", "title", "abstract", "hostname", "email", "relationship_type", "content", "id",
)  # fmt: skip
# Of each way so many are looked at; how many there are is counted all the same.
_EACH = 500


@dataclass(frozen=True)
class Relation:
    """One relation. `way` is out (the record names the other), in (the other names it) or same (value).

    `key` is empty where the other is not in the store; `via` is the relationship record between them.
    """

    label: str
    way: str
    ref: str
    target: str = ""
    key: str = ""
    name: str = ""
    via: str = ""


@dataclass(frozen=True)
class Group:
    """How many relations of one kind a record has."""

    label: str
    way: str
    count: int


@dataclass(frozen=True)
class Sightings:
    """What sighting records say of a record: how often it was seen, and when."""

    reports: int
    times: int
    first: datetime | None
    last: datetime | None


@dataclass(frozen=True)
class Relations:
    """A record's relations: some of them, how many there are of each kind, and its sightings."""

    relations: list[Relation]
    groups: list[Group]
    total: int
    sightings: Sightings | None


class _Found:
    """Relations as they are found, and how many of each kind there are."""

    def __init__(self) -> None:
        self.by_group: dict[tuple[str, str], list[Relation]] = defaultdict(list)
        self.counts: Counter[tuple[str, str]] = Counter()
        self._seen: set[tuple[str, str, str, str]] = set()

    def add(self, relation: Relation) -> None:
        mark = (relation.label, relation.way, relation.ref, relation.key)
        if mark not in self._seen:
            self._seen.add(mark)
            self.by_group[relation.label, relation.way].append(relation)
            self.counts[relation.label, relation.way] += 1

    def beyond(self, label: str, way: str, number: int) -> None:
        """So many more were not fetched."""
        if number:
            self.counts[label, way] += number


def relations(
    cursor: DuckDBPyConnection,
    models: Mapping[str, TargetModel],
    target: TargetModel,
    row: dict[str, Any],
    *,
    limit: int = 60,
) -> Relations:
    """What the record in `row` (its latest version) has to do with others; at most `limit` of them."""
    kept = {name: models[name] for name in records.kept_targets(cursor) if name in models}
    columns = {name: filters.held(cursor, model) for name, model in kept.items()}
    own = str(row.get("id") or "")
    found = _Found()
    whole = _object(row)
    if own:
        _relationships(cursor, columns, own, found)
        _named_here(target, row, whole, found)
        _named_there(cursor, kept, columns, target.name, own, found)
        _written_there(cursor, columns, own, found)
        _observed(cursor, columns, row, own, found)
    if whole.get("row") in ("attribute", "event", "object", "proposal", "event-report") and whole.get("uuid"):
        _misp(cursor, columns, target.name, whole, found)
    _same_value(cursor, kept, columns, target, row, found)
    shown = _known(cursor, columns, _fair(found, limit))
    groups = [Group(label, way, count) for (label, way), count in found.counts.most_common()]
    return Relations(shown, groups, sum(found.counts.values()), _sightings(cursor, columns, own))


def _object(row: dict[str, Any]) -> dict[str, Any]:
    try:
        whole = json.loads(row.get("object") or "{}")
    except ValueError:
        return {}
    return whole if isinstance(whole, dict) else {}


def _relationships(
    cursor: DuckDBPyConnection, columns: Mapping[str, list[str]], own: str, found: _Found
) -> None:
    if not {"source_ref", "target_ref"} <= set(columns.get("relationship", ())):
        return
    kind = "relationship_type" if "relationship_type" in columns["relationship"] else "'related-to'"
    for here, there, way in (("source_ref", "target_ref", "out"), ("target_ref", "source_ref", "in")):
        # Two relationship records that say the same of the same two are one relation.
        rows = cursor.execute(
            "SELECT kind, other, via, count(*) OVER (PARTITION BY kind) FROM ("
            f"SELECT coalesce({kind}, 'related-to') AS kind, {there} AS other, printf('%016x', min(_kh)) AS via "
            f"FROM store.records.relationship WHERE {here} = ? AND {there} IS NOT NULL GROUP BY 1, 2) "
            f"QUALIFY row_number() OVER (PARTITION BY kind ORDER BY other) <= {_EACH}",
            [own],
        ).fetchall()
        for label, other, via, _ in rows:
            found.add(Relation(label, way, other, via=via))
        for label, number in {row[0]: row[3] for row in rows}.items():
            found.beyond(label, way, number - sum(row[0] == label for row in rows))


def _named_here(target: TargetModel, row: dict[str, Any], whole: dict[str, Any], found: _Found) -> None:
    for name, value in _references({**whole, **{k: v for k, v in row.items() if v not in (None, [])}}):
        for other in value:
            found.add(Relation(_label(name), "out", other))
    for each in opened(whole):
        found.add(Relation("object", "out", each["id"]))


def _written_there(
    cursor: DuckDBPyConnection, columns: Mapping[str, list[str]], own: str, found: _Found
) -> None:
    """Objects whose models have no fields for what they name: observables, and those of types of their own."""
    for name in ("observable", "stix-object"):
        if "object" not in columns.get(name, ()):
            continue
        for key, ref, text in cursor.execute(
            f"SELECT printf('%016x', _kh), id, object FROM store.records.{identifier(name)} "
            f"WHERE contains(object::VARCHAR, ?) AND id <> ? LIMIT {_EACH}",
            [own, own],
        ).fetchall():
            whole = _object({"object": text})
            ends = whole.get("source_ref"), whole.get("target_ref")
            for label, others in _references(whole):
                if own not in others:
                    continue
                found.add(Relation(_label(label), "in", ref, name, key))
                # A relationship of a type of its own leads on to its other end.
                if label in ("source_ref", "target_ref") and all(isinstance(end, str) for end in ends):
                    way, other = ("out", ends[1]) if label == "source_ref" else ("in", ends[0])
                    said = str(whole.get("relationship_type") or whole.get("type"))
                    found.add(Relation(said, way, str(other), via=key))


def _label(name: str) -> str:
    return name.removesuffix("s").removesuffix("_ref").replace("_", " ")


def _observed(
    cursor: DuckDBPyConnection, columns: Mapping[str, list[str]], row: dict[str, Any], own: str, found: _Found
) -> None:
    """Observed data of STIX 2.0 in which an observable stands, which it names by no id."""
    if not row.get("value_type") or not row.get("value") or "object" not in columns.get("observed-data", ()):
        return
    for key, ref, text in cursor.execute(
        "SELECT printf('%016x', _kh), id, object FROM store.records.\"observed-data\" "
        f"WHERE contains(object::VARCHAR, ?) LIMIT {_EACH}",
        [json.dumps(row["value"], ensure_ascii=False)[1:-1]],
    ).fetchall():
        if any(each["id"] == own for each in opened(_object({"object": text}))):
            found.add(Relation("object", "in", ref, "observed-data", key))


def _references(values: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    for name, value in values.items():
        if name in _NOT_A_WAY or not name.endswith(("_ref", "_refs")):
            continue
        listed = value if isinstance(value, list) else [value]
        yield name, [each for each in listed if isinstance(each, str) and "--" in each]


def _named_there(
    cursor: DuckDBPyConnection,
    kept: Mapping[str, TargetModel],
    columns: Mapping[str, list[str]],
    target: str,
    own: str,
    found: _Found,
) -> None:
    for name, model in kept.items():
        if name == "relationship":
            continue
        for column in columns[name]:
            if not column.endswith(("_ref", "_refs")) or column in _NOT_A_WAY:
                continue
            many = model.field(column).type is FieldType.TEXTS
            holds = f"list_contains({identifier(column)}, ?)" if many else f"{identifier(column)} = ?"
            label = _label(column)
            rows = cursor.execute(
                f"SELECT printf('%016x', _kh), id, count(*) OVER () FROM store.records.{identifier(name)} "
                f"WHERE {holds} LIMIT {_EACH}",
                [own],
            ).fetchall()
            for key, ref, _ in rows:
                found.add(Relation(label, "in", ref, name, key))
            found.beyond(label, "in", rows[0][2] - len(rows) if rows else 0)


def _misp(
    cursor: DuckDBPyConnection,
    columns: Mapping[str, list[str]],
    target: str,
    whole: dict[str, Any],
    found: _Found,
) -> None:
    """MISP core format §2.3 and §2.5: attributes and objects belong to an event, and objects reference either."""
    if whole.get("event_uuid"):
        found.add(Relation("event", "out", f"report--{whole['event_uuid']}"))
    if whole.get("object_uuid"):
        label = str(whole.get("object_relation") or "part") + " of"
        found.add(Relation(label, "out", f"x-misp-object--{whole['object_uuid']}"))
    for reference in whole.get("ObjectReference") or ():
        if isinstance(reference, dict) and reference.get("referenced_uuid"):
            label = str(reference.get("relationship_type") or "references")
            found.add(Relation(label, "out", str(reference["referenced_uuid"])))
    own = str(whole["uuid"])
    for name in ("indicator", "observable", "stix-object", "report"):
        if "object" not in columns.get(name, ()):
            continue
        for key, ref, text in cursor.execute(
            f"SELECT printf('%016x', _kh), id, object FROM store.records.{identifier(name)} "
            f"WHERE contains(object::VARCHAR, ?) LIMIT {_EACH}",
            [own],
        ).fetchall():
            other = _object({"object": text})
            if other.get("uuid") == own:
                continue
            if other.get("event_uuid") == own:
                found.add(Relation("event of", "in", ref, name, key))
            if other.get("object_uuid") == own:
                found.add(Relation(str(other.get("object_relation") or "part"), "in", ref, name, key))
            for reference in other.get("ObjectReference") or ():
                if isinstance(reference, dict) and reference.get("referenced_uuid") == own:
                    label = str(reference.get("relationship_type") or "references")
                    found.add(Relation(label, "in", ref, name, key))


def _same_value(
    cursor: DuckDBPyConnection,
    kept: Mapping[str, TargetModel],
    columns: Mapping[str, list[str]],
    target: TargetModel,
    row: dict[str, Any],
    found: _Found,
) -> None:
    """Fields of a kind hold canonical values, so equal ones mean the same thing in every model."""
    mine = {str(row[name]) for name in _kinds(target) if row.get(name) not in (None, "")}
    if not mine:
        return
    wanted = sorted(mine)
    for name, model in kept.items():
        for column in _kinds(model):
            if column not in columns[name]:
                continue
            own = f" AND _kh <> {int(str(row['_id']), 16)}" if name == target.name else ""
            ref = "id" if any(f.name == "id" for f in model.fields) else f"{identifier(column)}::VARCHAR"
            rows = cursor.execute(
                f"SELECT printf('%016x', _kh), {ref}, count(*) OVER () FROM store.records.{identifier(name)} "
                f"WHERE list_contains(?, {identifier(column)}){own} LIMIT {_EACH}",
                [wanted],
            ).fetchall()
            for key, other, _ in rows:
                found.add(Relation("same value", "same", other, name, key))
            found.beyond("same value", "same", rows[0][2] - len(rows) if rows else 0)


def _kinds(model: TargetModel) -> list[str]:
    return [
        f.name
        for f in model.fields
        if (f.kind or f.name == "value") and f.name not in _TOO_COMMON and f.type is FieldType.TEXT
    ]


def _fair(found: _Found, limit: int) -> list[Relation]:
    """Some of each kind: what there is much of must not hide what there is little of."""
    waiting = sorted(found.by_group.values(), key=len)
    shown: list[Relation] = []
    while waiting:
        group = waiting.pop(0)
        shown += group[: max(1, (limit - len(shown)) // (len(waiting) + 1))]
    return shown[:limit]


def _known(
    cursor: DuckDBPyConnection, columns: Mapping[str, list[str]], shown: list[Relation]
) -> list[Relation]:
    """The relations with the others' records and names, where they are in the store."""
    places: dict[str, list[str]] = defaultdict(list)
    for relation in shown:
        if relation.key:
            places[relation.target].append(relation.ref)
            continue
        for name in _where(relation.ref, columns):
            places[name] += _ids(relation.ref, name)
    named: dict[str, tuple[str, str, str]] = {}
    for name, refs in places.items():
        if "id" not in columns[name]:
            continue
        title = ", ".join(f"{identifier(c)}::VARCHAR" for c in _NAMED_BY if c in columns[name])
        # A record's key is its id, so it is found by the hash of it without reading the ids of all.
        for id, key, text in cursor.execute(
            f"SELECT id, printf('%016x', _kh), coalesce({title}) FROM store.records.{identifier(name)} "
            "WHERE _kh IN (SELECT hash(x) FROM (SELECT unnest(?::VARCHAR[]) AS x))",
            [refs],
        ).fetchall():
            named.setdefault(id, (name, key, text))
    return [_named(relation, named, columns) for relation in shown]


def _named(
    relation: Relation, named: Mapping[str, tuple[str, str, str]], columns: Mapping[str, list[str]]
) -> Relation:
    ids = [relation.ref] if "--" in relation.ref else []
    ids += [] if ids else [i for name in _where(relation.ref, columns) for i in _ids(relation.ref, name)]
    for id in ids:
        if id in named:
            target, key, text = named[id]
            return replace(relation, ref=id, target=target, key=key, name=text[:200])
    return replace(relation, name=relation.name or relation.ref)


def _where(ref: str, columns: Mapping[str, list[str]]) -> list[str]:
    """The target models in which an id may be."""
    kind, dashes, _ = ref.partition("--")
    if not dashes:
        return [n for n in ("indicator", "observable", "stix-object") if n in columns]
    return [kind] if kind in columns else [n for n in ("observable", "stix-object") if n in columns]


def _ids(ref: str, target: str) -> list[str]:
    """A bare uuid is MISP's; as an id it depends on what it is of."""
    if "--" in ref:
        return [ref]
    return [f"{'x-misp-object' if target == 'stix-object' else target}--{ref}"]


def _sightings(cursor: DuckDBPyConnection, columns: Mapping[str, list[str]], own: str) -> Sightings | None:
    held = columns.get("sighting", ())
    if not own or "sighting_of_ref" not in held:
        return None
    times = "sum(coalesce(count, 1))" if "count" in held else "count(*)"
    first = "min(first_seen)" if "first_seen" in held else "NULL"
    last = "max(last_seen)" if "last_seen" in held else "NULL"
    row = cursor.execute(
        f"SELECT count(*), {times}, {first}, {last} FROM store.records.sighting WHERE sighting_of_ref = ?",
        [own],
    ).fetchall()[0]
    return Sightings(row[0], int(row[1]), row[2], row[3]) if row[0] else None
