#!/bin/sh
# Write requirements.lock and requirements-test.lock from pyproject.toml. Needs uv.
#
# The test lock holds the runtime lock's versions and more, so what is tested is what runs.
# LOCK_ARGS="--upgrade" takes newer versions.
set -eu
cd "$(dirname "$0")/.."
compile() {
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
        --no-annotate "$@"
}
compile pyproject.toml --extra build ${LOCK_ARGS:-} --output-file requirements.lock
compile pyproject.toml --extra build --extra test --constraints requirements.lock --output-file requirements-test.lock
