"""The limit: DuckDB alone loading the twelve mapped columns of a file into an unencrypted database.

It seals nothing, checks nothing, finds no duplicate and keeps no reject, so nothing that does can be faster.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import duckdb

JSON_COLUMNS = {
    "id": "VARCHAR",
    "name": "VARCHAR",
    "pattern": "VARCHAR",
    "pattern_type": "VARCHAR",
    "confidence": "VARCHAR",
    "labels": "VARCHAR[]",
    "created": "VARCHAR",
    "modified": "VARCHAR",
    "valid_from": "VARCHAR",
    "object_marking_refs": "VARCHAR[]",
    "external_references": "STRUCT(source_name VARCHAR)[]",
    "kill_chain_phases": "STRUCT(phase_name VARCHAR)[]",
}
CSV_COLUMNS = dict.fromkeys(
    [
        "id",
        "ioc_type",
        "value",
        "pattern",
        "confidence",
        "labels",
        "created",
        "modified",
        "valid_from",
        "tlp",
        "source",
        "phase",
    ],
    "VARCHAR",
)
NDJSON = f"""
select id, name, pattern, pattern_type, try_cast(confidence as integer) as confidence, labels,
    try_cast(created as timestamp) as created, try_cast(modified as timestamp) as modified,
    try_cast(valid_from as timestamp) as valid_from, object_marking_refs[1] as tlp,
    external_references[1].source_name as source, kill_chain_phases[1].phase_name as phase
from read_json(?, format = 'newline_delimited', columns = {JSON_COLUMNS})
"""
CSV = f"""
select id, ioc_type as value_type, value, pattern, try_cast(confidence as integer) as confidence,
    string_split(labels, ';') as labels, try_cast(created as timestamp) as created,
    try_cast(modified as timestamp) as modified, try_cast(valid_from as timestamp) as valid_from, tlp, source, phase
from read_csv(?, header = true, auto_detect = false, delim = ',', quote = '"', columns = {CSV_COLUMNS})
"""


def load(path: Path, threads: int = 2) -> tuple[int, float]:
    """Load the file into a new database; how many rows it has then, and the seconds it took."""
    with tempfile.TemporaryDirectory(prefix="limit-") as folder:
        connection = duckdb.connect(
            Path(folder) / "limit.duckdb", config={"threads": threads, "preserve_insertion_order": False}
        )
        began = time.perf_counter()
        query = CSV if path.suffix == ".csv" else NDJSON
        connection.execute(f"create table records as {query}", [str(path)])
        connection.execute("checkpoint")
        seconds = time.perf_counter() - began
        rows = connection.execute("select count(*) from records").fetchall()[0][0]
        connection.close()
    return rows, seconds


if __name__ == "__main__":
    rows, seconds = load(Path(sys.argv[1]))
    print(json.dumps({"read": rows, "seconds": seconds}))
