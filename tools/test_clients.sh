#!/usr/bin/env bash
# Generate clients of the OpenAPI documents and use them. The generator, 30 MB and in need of Java, and the compiler of
# TypeScript are kept below .clients/, out of the environment that everybody else needs.
set -euo pipefail
cd "$(dirname "$0")/.."
eval "$(.venv/bin/python packages/modelport/src/modelport/environments/index_settings.py)"
tools=$PWD/.clients
[ -x "$tools/venv/bin/python" ] || .venv/bin/uv venv --quiet --python .venv/bin/python "$tools/venv"
.venv/bin/uv pip install --quiet --python "$tools/venv/bin/python" \
    openapi-generator-cli==7.26.0 'urllib3>=2.7,<3' 'python-dateutil>=2.8.2' 'pydantic>=2.11' 'typing-extensions>=4.7.1'
if command -v npm >/dev/null; then
    [ -x "$tools/node_modules/.bin/tsc" ] || npm install --silent --no-audit --no-fund --prefix "$tools" typescript@5.9
fi
MODELPORT_CLIENT_TOOLS=$tools .venv/bin/python -m pytest -q "$@" stories/test_openapi_clients.py
