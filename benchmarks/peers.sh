#!/bin/sh
# Make the environment of the other loaders, apart from the product's.
set -eu
cd "$(dirname "$0")/.."
venv=.cache/peers
[ "$venv/stamp" -nt benchmarks/peers.txt ] && exit 0
.venv/bin/python -m venv --clear "$venv"
if ! { command -v uv >/dev/null 2>&1 && VIRTUAL_ENV="$PWD/$venv" uv pip install --quiet -r benchmarks/peers.txt; }; then
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r benchmarks/peers.txt
fi
touch "$venv/stamp"
