#!/usr/bin/env bash
# Build the distributions, install the built wheels into an environment of their own, and run stories with them:
# what is in the repository but not in a wheel is missed here, not by the first user.
set -euo pipefail
cd "$(dirname "$0")/.."
eval "$(.venv/bin/python packages/modelport/src/modelport/environments/index_settings.py)"
uv=$PWD/.venv/bin/uv
tools/wheels.sh
"$uv" venv --quiet --python .venv/bin/python dist/venv
"$uv" pip install --quiet --compile-bytecode --python dist/venv/bin/python --constraints constraints.txt \
    dist/*.whl pytest pytest-timeout
dist/venv/bin/python -m pytest -q -p no:cacheprovider "${@:-stories/test_whole_path.py}" -k "not scikit_learn"
