"""Modelling: a target model proposed from a source, for a person to edit before it is saved."""

from __future__ import annotations

from itertools import combinations

from duckdb import DuckDBPyConnection

from app.tenant.desk import Desk, targets
from app.tenant.reading import SAMPLE_ROWS, extent, held
from app.tenant.schemas.catalogue import ProposedModel
from engine.model import Source
from engine.profile import Profile, profile
from engine.scan import RAW
from engine.suggest.model import propose_model
from storage import glance
from storage.texts import Texts

# Pairs are tried of so many fields: those with most distinct values.
PAIRED = 5


def propose(desk: Desk, read: Source) -> ProposedModel:
    """A model for a source's rows. Nothing is saved."""
    with held(desk, read, SAMPLE_ROWS) as (cursor, table, _):
        names = [f.name for f in table.fields if f.name != RAW]
        found = profile(cursor, table.table, names, ordinal="rowid")
        proposal = propose_model(found, read.id, read.name, _pairs(cursor, table, found))
    taken = set(targets(desk))
    name = next(
        n
        for n in (proposal.model.name, *(f"{proposal.model.name}-{i}" for i in range(2, 1000)))
        if n not in taken
    )
    return ProposedModel(
        model=proposal.model.model_copy(update={"name": name}),
        sources=proposal.sources,
        reasons=proposal.reasons,
        extent=extent(table.rows, table.complete, table.complete, table.rows),
    )


def _pairs(cursor: DuckDBPyConnection, table: Texts, found: Profile) -> list[tuple[str, str]]:
    """Pairs of fields that are unique together, where no field is alone."""
    full = [c for c in found.columns if c.filled == c.rows]
    if not found.rows or any(c.distinct >= c.rows for c in full):
        return []
    most = sorted(full, key=lambda c: -c.distinct)[:PAIRED]
    pairs = [(a.name, b.name) for a, b in combinations(most, 2) if a.distinct * b.distinct >= found.rows]
    return [pair for pair in pairs if glance.distinct(cursor, table, pair) == found.rows]
