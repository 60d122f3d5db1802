#!/usr/bin/env bash
# Pin the tested set: names, versions and hashes, valid for Python 3.11 to 3.13, and no address of any registry.
# usage: lock.sh BIN [uv options, such as --upgrade]
set -euo pipefail
bin=$1
shift
pin() { # file, extras and groups
    "$bin/uv" pip compile pyproject.toml "${@:2}" --python-version 3.11 --universal --generate-hashes \
        --no-emit-index-url --no-emit-find-links --no-annotate --no-header --quiet "${options[@]}" -o "$1"
}

options=("$@")
pin requirements/tested.txt --extra all --group test
pin requirements/extras.txt --extra all --extra gcs --extra azure --extra openlineage --group test
