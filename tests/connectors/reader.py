"""Reads sources in a process of its own: for each line that says which, how much came and how much was held."""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path

from connectors import check, payloads_of
from engine.model import Source


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def main() -> None:
    """Answer each line on standard input until there are no more."""
    for line in sys.stdin:
        asked = json.loads(line)
        source = Source.model_validate(asked["source"])
        # What a check brings, modules and pools, is not held of what is read.
        list(check(source, asked["hosts"], asked["folders"]))
        gc.collect()
        begin, most, size = _resident(), 0, 0
        for payload in payloads_of(source, None, asked["hosts"], asked["folders"]):
            while data := payload.stream.read(1 << 18):
                size += len(data)
                most = max(most, _resident())
        print(json.dumps({"size": size, "held": most - begin}), flush=True)


if __name__ == "__main__":
    main()
