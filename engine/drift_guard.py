"""The guard: what a pipeline's contract says of drift, as checks of the plan, so that preview and run obey alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import sqlglot
from sqlglot import exp

from engine.drift_look import Look
from engine.drift_types import ONE, misfit
from engine.layers import PREFIX
from engine.model import Contract, Data, Severity, SourceField
from engine.scan import EXTRA, RAW
from engine.steps.tree import Expr, choose, column, given, no

# So many checks are left to a mapping's own fields and rules; where a table has more fields, they share one.
ROOM = 20
Checked = Callable[[str, str, Expr, Severity], Any]


class Guard(Data):
    """A contract with what it needs to be obeyed: the known fields with their types, and those now gone."""

    contract: Contract = Contract()
    types: dict[str, str] = {}
    known: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()

    @property
    def idle(self) -> bool:
        """Whether it has nothing to watch in a row."""
        word = self.contract
        return (
            word.new_fields == "evolve"
            and word.type_changes in ("evolve", "freeze")
            and (word.vanished_fields in ("evolve", "freeze") or not self.gone)
        )

    @property
    def extra(self) -> SourceField | None:
        """The source field that tells a row's unknown fields, where somebody looks at it."""
        if self.contract.new_fields == "evolve":
            return None
        return SourceField(name=EXTRA, path=self.known)


def guard_of(contract: Contract, known: Look, gone: Sequence[str] = ()) -> Guard:
    """The guard of a contract over what is known of the source."""
    return Guard(
        contract=contract,
        types={f.name: f.type for f in known.fields if f.type not in ("nothing", "text")},
        known=tuple(dict.fromkeys((f.path or (f.name,))[0] for f in known.fields)),
        gone=tuple(gone),
    )


def watched(guard: Guard, reads: Sequence[str]) -> list[str]:
    """The fields among those a mapping reads whose type is watched row by row."""
    if guard.contract.type_changes not in ("discard value", "discard row"):
        return []
    return [name for name in reads if name in guard.types and name not in (RAW, EXTRA)]


def columns(guard: Guard, reads: Sequence[str]) -> dict[str, Expr]:
    """What stands in place of a source column, and beside it whether its value is of another type."""
    found: dict[str, Expr] = {}
    for number, name in enumerate(watched(guard, reads)):
        wrong = _tree(misfit(_quoted(name), guard.types[name]))
        if guard.contract.type_changes == "discard value":
            found[name] = exp.alias_(choose((wrong, exp.null()), otherwise=column(name)), name, quoted=True)
        found[_flag(number)] = exp.alias_(wrong.copy(), _flag(number), quoted=True)
    return found


def checks(guard: Guard, reads: Sequence[str]) -> Iterator[tuple[str, str, Expr, Severity]]:
    """The checks of a branch that reads these fields: rule, message, condition, and what it does to the row."""
    contract = guard.contract
    severity = Severity.WARN if contract.type_changes == "discard value" else Severity.QUARANTINE
    left = ", so it was left out" if severity is Severity.WARN else ""
    names = watched(guard, reads)
    if len(names) > ROOM:
        any_of = exp.or_(*(column(_flag(n)) for n in range(len(names))))
        yield "drift:type", f"a value is of another type than its field had{left}", any_of, severity
    else:
        for number, name in enumerate(names):
            told = f"{name} is not {ONE[guard.types[name]]}, as it was{left}"
            yield f"drift:type:{name}", told, column(_flag(number)), severity
    if contract.new_fields != "evolve":
        word = contract.new_fields
        severity = {"discard value": Severity.WARN, "discard row": Severity.QUARANTINE}.get(
            word, Severity.FAIL
        )
        left = ", which was left out" if severity is Severity.WARN else ""
        yield (
            "drift:new",
            f"the row has a field the mapping does not know{left}",
            given(column(EXTRA)),
            severity,
        )
    if contract.vanished_fields in ("discard value", "discard row"):
        severity = Severity.WARN if contract.vanished_fields == "discard value" else Severity.QUARANTINE
        for name in [name for name in guard.gone if name in reads][:ROOM]:
            told = f"{name} is gone from the source" + (
                ", so it was left empty" if severity is Severity.WARN else ""
            )
            yield f"drift:gone:{name}", told, no(given(column(name))), severity


def _flag(number: int) -> str:
    return f"{PREFIX}drift{number}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _tree(sql: str) -> Expr:
    return exp.Paren(this=sqlglot.parse_one(sql, dialect="duckdb"))
