#!/bin/sh
# Make .venv and install one locked set of requirements: scripts/venv.sh requirements.lock
#
# Every file is checked against its hash, so it does not matter who serves it: the machine's own
# configuration of pip (or uv) decides that.
set -eu
cd "$(dirname "$0")/.."
lock=$1
venv=.venv

find_python() {
    for name in ${PYTHON:-} python3 python3.13 python3.12 python3.11; do
        if command -v "$name" >/dev/null 2>&1 &&
            "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    echo "Phantom Spire needs Python 3.11 or newer. This machine has $(python3 --version 2>&1 || true)." >&2
    echo "Install a newer one, or name it: make PYTHON=/path/to/python3.12 run" >&2
    return 1
}

# A machine that names an index of its own to pip means it; uv does not read pip's configuration.
may_use_uv() {
    command -v uv >/dev/null 2>&1 && uv --version >/dev/null 2>&1 &&
        [ -z "${PIP_INDEX_URL:-}" ] && ! "$venv/bin/python" -m pip config list 2>/dev/null | grep -q 'index-url='
}

if ! "$venv/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    python=$(find_python)
    echo "Making a virtual environment in $venv with $("$python" --version)"
    "$python" -m venv --clear "$venv" || {
        echo "Python cannot make virtual environments here. On Debian or Ubuntu: apt-get install python3-venv" >&2
        exit 1
    }
fi

echo "Installing $lock (the first time takes a minute or two)"
if ! { may_use_uv && VIRTUAL_ENV="$PWD/$venv" uv pip install --quiet --require-hashes -r "$lock"; }; then
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"
fi
# The project itself, editable; what builds it is in the lock, so nothing else is fetched.
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
