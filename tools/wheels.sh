#!/usr/bin/env bash
# Build the distributions as wheels into dist/.
set -euo pipefail
cd "$(dirname "$0")/.."
eval "$(.venv/bin/python packages/modelport/src/modelport/environments/index_settings.py)"
rm -rf dist
for package in packages/*; do
    .venv/bin/uv build --wheel --quiet --out-dir dist "$package"
done
ls dist/*.whl
