"""The same file through dlt into DuckDB, with a primary key, two ways. Runs in an environment of its own.

`contract` checks every record against a pydantic model and drops what breaks it; `arrow` hands over
Arrow batches, which is dlt's fast road and checks nothing.

Usage: python peers.py contract|arrow FILE.ndjson
"""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dlt
import orjson
import pyarrow as pa
from pyarrow import compute
from pyarrow import json as arrow_json
from pydantic import BaseModel, Field

PLAIN = ["id", "name", "pattern", "pattern_type", "confidence", "labels", "created", "modified", "valid_from"]


class Indicator(BaseModel):
    """The benchmark's ten rules as far as a data contract says them."""

    type: str
    spec_version: str
    id: str = Field(
        pattern=r"indicator--[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
    )
    created_by_ref: str | None = None
    created: dt.datetime
    modified: dt.datetime
    name: str | None = None
    indicator_types: list[str] = []
    pattern: str
    pattern_type: str
    valid_from: dt.datetime
    kill_chain_phases: list[dict[str, Any]] = []
    labels: list[str] = []
    confidence: int = Field(ge=0, le=100)
    external_references: list[dict[str, Any]] = []
    object_marking_refs: list[str] = []


def by_contract(path: Path) -> Any:
    """Lists of records, each checked against the model."""

    @dlt.resource(
        name="indicators",
        primary_key="id",
        write_disposition="merge",
        columns=Indicator,
        schema_contract={"columns": "discard_value", "data_type": "discard_row"},
        max_table_nesting=0,
    )
    def records() -> Iterator[list[Any]]:
        batch = []
        with path.open("rb") as lines:
            for line in lines:
                batch.append(orjson.loads(line))
                if len(batch) == 5000:
                    yield batch
                    batch = []
        yield batch

    return records()


def by_arrow(path: Path) -> Any:
    """Arrow batches of the same twelve columns as the limit, unchecked."""

    @dlt.resource(name="indicators", primary_key="id", write_disposition="merge")
    def batches() -> Iterator[pa.RecordBatch]:
        options = arrow_json.ReadOptions(block_size=4 << 20)
        table = arrow_json.read_json(path, read_options=options)
        columns = {name: table[name] for name in PLAIN}
        # One malformed date makes Arrow read the whole column as text, and nothing here may drop its row.
        columns["valid_from"] = columns["valid_from"].cast(pa.string())
        columns["tlp"] = compute.list_element(table["object_marking_refs"], 0)
        columns["source"] = first(table["external_references"], "source_name")
        columns["phase"] = first(table["kill_chain_phases"], "phase_name")
        yield from pa.table(columns).to_batches(max_chunksize=50_000)

    return batches()


def first(lists: pa.ChunkedArray, member: str) -> pa.ChunkedArray:
    """A member of each list's first object."""
    return compute.struct_field(compute.list_element(lists, 0), member)


def main(folder: Path) -> None:
    way, path = {"contract": by_contract, "arrow": by_arrow}[sys.argv[1]], Path(sys.argv[2]).resolve()
    os.environ |= {
        "DLT_DATA_DIR": str(folder),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "RUNTIME__LOG_LEVEL": "CRITICAL",
    }
    os.chdir(folder)
    began = time.perf_counter()
    pipeline = dlt.pipeline(
        "peer",
        destination=dlt.destinations.duckdb(str(folder / "peer.duckdb")),
        dataset_name="d",
        pipelines_dir=str(folder),
    )
    pipeline.run(way(path))
    seconds = time.perf_counter() - began
    with path.open("rb") as lines:
        read = sum(1 for _ in lines)
    with pipeline.sql_client() as client:
        rows = client.execute_sql("select count(*) from indicators")
    print(json.dumps({"read": read, "kept": rows[0][0] if rows else 0, "seconds": seconds}))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="peer-") as scratch:
        main(Path(scratch))
