"""The whole product with small batches: `python -m tests.proof.serve`, settings by SPIRE_*.

A commit comes every few thousand rows, so that a small file has many moments to be killed at.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fastapi import FastAPI

from app.gateway.serve import serve
from app.grant import Grant
from app.settings import Settings
from app.tenant import api, fetching, loading
from connectors import database

CHUNK_BYTES = 64 << 10
BATCH_ROWS = 2_000
# What a table is read in.
PAYLOAD_ROWS = 1_500
# Of which so many are a range, where several connections read.
RANGE_ROWS = 500


def small_batches() -> None:
    """Make this process read small payloads and chunks and commit small batches."""
    limits = loading.limits_of
    database.ROWS = PAYLOAD_ROWS
    database.RANGE, database.RANGES = RANGE_ROWS, PAYLOAD_ROWS // RANGE_ROWS
    fetching.CHUNK_BYTES = CHUNK_BYTES
    loading.limits_of = lambda desk, pipeline: replace(limits(desk, pipeline), batch_rows=BATCH_ROWS)


def create_app(grant: Grant) -> FastAPI:
    """The tenant API as it is, with small batches."""
    small_batches()
    return api.create_app(grant)


def build(opened: Any) -> FastAPI:
    """For the gateway's description of the API."""
    return api.build(opened)


if __name__ == "__main__":
    serve(Settings(), lambda line: print(line, flush=True), tenant_app="tests.proof.serve:create_app")
