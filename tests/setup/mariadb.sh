#!/bin/sh
# Make sure that there is a MariaDB server for the tests: the machine's own, or Debian's package.
set -u
cd "$(dirname "$0")/../.."
[ -x /usr/sbin/mariadbd ] && exit 0
log=$PWD/.cache/mariadb.log
mkdir -p .cache
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing mariadb-server-core from Debian's packages"
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends mariadb-server-core >"$log" 2>&1 || {
        apt-get update -qq >>"$log" 2>&1 &&
            DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends mariadb-server-core >>"$log" 2>&1
    }
fi
[ -x /usr/sbin/mariadbd ] || echo "There is no MariaDB server: the tests that need it will say so."
