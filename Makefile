# Everything a newcomer or a developer runs. `make` alone lists it.
PYTHON ?= python3
BIN := .venv/bin
SOURCES := packages/modelport-worker/src packages/modelport-azureml/src packages/modelport-scoring/src packages/modelport/src
PYTEST := $(BIN)/python -m pytest

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format lint types contracts docs bench-registration lock wheels clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1|/' | column -t -s '|'

setup: .venv/.ready  ## make the environment in .venv

.venv/.ready: requirements-dev.in constraints.txt $(wildcard packages/*/pyproject.toml)
	@PYTHON="$(PYTHON)" tools/setup.sh

demo: setup  ## train, register, deploy and score a model on this machine
	@$(BIN)/python examples/diabetes/demo.py

test: setup  ## run all tests
	$(PYTEST) -n 2 --dist loadgroup

check: setup lint types contracts docs  ## format, lint, types, import contracts, docs

format: setup  ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint:
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types:
	$(BIN)/mypy $(SOURCES)
	for folder in packages/*/tests stories docs; do $(BIN)/mypy $$folder || exit 1; done

contracts:
	$(BIN)/lint-imports

docs:
	$(PYTEST) -q docs

bench-registration: setup  ## time the registration of 1 GiB beside cp and sha256sum
	$(BIN)/python bench/registration.py

lock: setup  ## resolve requirements-dev.in into constraints.txt again
	tools/lock.sh

wheels: setup  ## build the four distributions into dist/
	rm -rf dist
	for package in packages/*; do $(BIN)/uv build --wheel --quiet --out-dir dist $$package || exit 1; done

clean:  ## remove what was built here; workspaces in MODELPORT_HOME stay
	rm -rf .venv dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
