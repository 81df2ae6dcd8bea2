#!/usr/bin/env bash
# Make the developers' environment in .venv: the interpreter's own venv, uv inside it, everything else through uv.
# A private index, a proxy or a certificate bundle is taken from pip's configuration or from uv's variables, whichever
# says something; index_settings.py translates between them.
set -euo pipefail
cd "$(dirname "$0")/.."

find_python() {
    for candidate in "${PYTHON:-python3}" python3.14 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "Modelport needs Python 3.11 or newer, and none was found on PATH." >&2
    echo "Install one, or name it: make PYTHON=/path/to/python3.12" >&2
    return 1
}

python=$(find_python)
echo "Setting up .venv with $("$python" --version) (first time: about a minute)"
[ -x .venv/bin/python ] || "$python" -m venv .venv
settings=$(.venv/bin/python packages/modelport/src/modelport/environments/index_settings.py)
eval "$settings"
.venv/bin/python -m pip install --quiet --disable-pip-version-check "$(grep '^uv==' constraints.txt)"
# The editable packages need no index of their own; everything else is pinned.
.venv/bin/uv pip install --quiet --compile-bytecode --python .venv/bin/python --requirements requirements-dev.in --constraints constraints.txt
touch .venv/.ready
