#!/usr/bin/env bash
# Build a virtual environment with the hashed set and this project in it, editable, and compile its bytecode once.
# usage: setup.sh VENV REQUIREMENTS     (PYTHON: the interpreter, 3.11 to 3.13)
set -euo pipefail
venv=$1 requirements=$2 python=${PYTHON:-python3}

if ! "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; then
    echo "$python is $("$python" --version 2>&1 || echo missing); retrain needs Python 3.11, 3.12 or 3.13: make setup PYTHON=python3.12" >&2
    exit 1
fi
if ! "$python" -m venv "$venv"; then
    echo "$python cannot make virtual environments. On Debian and Ubuntu: sudo apt-get install python3-venv" >&2
    exit 1
fi
# uv is in the hashed set itself; pip installs it first, checking the same hash.
awk '/^uv==/ {take = 1} take {print} take && !/\\$/ {exit}' "$requirements" > "$venv/uv.txt"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r "$venv/uv.txt"
"$venv/bin/uv" pip sync --quiet --python "$venv/bin/python" --require-hashes --compile-bytecode "$requirements"
"$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --no-deps --editable .
