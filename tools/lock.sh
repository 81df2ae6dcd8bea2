#!/usr/bin/env bash
# Resolve requirements-dev.in for every Python from 3.11 on. The result names versions only, never an index.
set -euo pipefail
cd "$(dirname "$0")/.."
eval "$(.venv/bin/python packages/modelport/src/modelport/environments/index_settings.py)"
own=(modelport modelport-worker modelport-scoring modelport-azureml)
.venv/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --no-annotate --no-header \
    "${own[@]/#/--no-emit-package=}" requirements-dev.in --output-file constraints.txt
