#!/bin/sh
# Unpack the TAXII 2.0 server beside the environment: it has the name of the TAXII 2.1 server inside it.
set -u
cd "$(dirname "$0")/../.."
place=$PWD/.cache/medallion-1.1.0
[ -d "$place/medallion" ] && exit 0
echo "Unpacking medallion 1.1.0 into .cache"
.venv/bin/python -m pip --version >/dev/null 2>&1 && pip=".venv/bin/python -m pip" || pip="python3 -m pip"
$pip install --quiet --no-deps --require-hashes --target "$place" -r tests/setup/medallion-1.1.0.lock ||
    echo "There is no TAXII 2.0 server: the tests that need it will say so."
