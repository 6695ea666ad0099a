#!/bin/sh
# Install a MISP server in an environment of its own: what it needs does not agree with what we need.
set -u
cd "$(dirname "$0")/../.."
place=$PWD/.cache/mmisp-0.10.2
[ -f "$place/whole" ] && exit 0
echo "Installing mmisp 0.10.2 into .cache"
# The environment's own python: a link to it gives an environment of the same version.
.venv/bin/python -m venv --clear --without-pip "$place" || exit 0
.venv/bin/python -m pip --version >/dev/null 2>&1 && pip=".venv/bin/python -m pip" || pip="python3 -m pip"
$pip --python "$place/bin/python" install --quiet --no-deps --require-hashes -r tests/setup/mmisp-0.10.2.lock &&
    touch "$place/whole" ||
    echo "There is no MISP server: the tests that need it will say so."
