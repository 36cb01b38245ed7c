#!/bin/sh
# Prints the path of a Python that can run the development tools: 3.12 or newer, with venv. PYTHON, when set, is the only candidate.
# As root on Debian or Ubuntu it installs the distribution's Python when that one is new enough.
set -eu

suits() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 12))' >/dev/null 2>&1
}

found() {
    for candidate in ${PYTHON:-python3.13 python3.12 python3.14 python3 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[2-4]*/bin/python3}; do
        if suits "$candidate"; then
            command -v "$candidate"
            return 0
        fi
    done
    return 1
}

found && exit 0

if [ -z "${PYTHON:-}" ] && [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq >&2
    offered=$(apt-cache policy python3 | sed -n 's/^ *Candidate: *\([0-9.]*\).*/\1/p')
    if dpkg --compare-versions "$offered" ge 3.12; then
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3 python3-venv >&2
        found && exit 0
    fi
fi

echo "No Python 3.12 or newer with venv was found: install one (Debian 13 and Ubuntu 24.04 carry it as python3 and" \
    "python3-venv, pyenv elsewhere) or name it: make setup PYTHON=/path/to/python3.13." >&2
exit 1
