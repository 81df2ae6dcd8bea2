#!/usr/bin/env bash
# Make the developers' environment in .venv: the interpreter's own venv, uv inside it, everything else through uv.
# A private index, a proxy or a certificate bundle is taken from pip's configuration or from uv's variables, whichever
# says something; index_settings.py translates between them.
set -euo pipefail
cd "$(dirname "$0")/.."

wanted=${PYTHON:-}
recent='import sys; sys.exit(sys.version_info < (3, 11))'
identity='import sys; print(sys.base_prefix, sys.version)'

# A Python that is named is taken or refused; no other is put in its place.
find_python() {
    candidates=(python3 python3.14 python3.13 python3.12 python3.11)
    [ -z "$wanted" ] || candidates=("$wanted")
    for candidate in "${candidates[@]}"; do
        if "$candidate" -c "$recent" >/dev/null 2>&1; then
            echo "$candidate"
            return
        fi
    done
    explain_absence >&2
    return 1
}

explain_absence() {
    if [ -n "$wanted" ]; then
        echo "Modelport needs Python 3.11 or newer; PYTHON=$wanted says: $("$wanted" --version 2>&1 || true)"
    else
        echo "Modelport needs Python 3.11 or newer; python3 is $(python3 --version 2>&1 || true), and none is on PATH."
    fi
    echo "Install one, or name it: make PYTHON=/path/to/python3.12 setup"
}

# What is there stays, unless it is broken (an interrupted set-up, a Python that is gone) or another Python is named.
is_usable() {
    .venv/bin/python -m pip --version || return
    [ -z "$wanted" ] || [ "$(describe .venv/bin/python)" = "$(describe "$wanted")" ]
}

describe() {
    "$1" -c "$identity"
}

if ! is_usable >/dev/null 2>&1; then
    python=$(find_python)
    "$python" -m venv --clear .venv
fi
echo "Setting up .venv with $(.venv/bin/python --version) (first time: about a minute)"
settings=$(.venv/bin/python packages/modelport/src/modelport/environments/index_settings.py)
eval "$settings"
.venv/bin/python -m pip install --quiet --disable-pip-version-check "$(grep '^uv==' constraints.txt)"
# The editable packages need no index of their own; everything else is pinned.
.venv/bin/uv pip install --quiet --compile-bytecode --python .venv/bin/python --requirements requirements-dev.in --constraints constraints.txt
touch .venv/.ready
