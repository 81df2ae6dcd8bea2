# Everything a newcomer or a developer runs. `make` alone lists it.
BIN := .venv/bin
SOURCES := packages/modelport-worker/src packages/modelport-azureml/src packages/modelport-scoring/src packages/modelport/src \
  packages/modelport-azure-cli/src
PYTEST := $(BIN)/python -m pytest

# Where it is set, as in many images, each of the thousands of processes of the tests would compile Modelport again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-openapi test-clients test-containers test-packages test-clusters test-frameworks check format lint types contracts docs bench bench-quick bench-registration fuzz soak compatibility lock wheels test-wheels clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1|/' | column -t -s '|'

setup: .venv/.ready  ## make the environment in .venv

.venv/.ready: requirements-dev.in constraints.txt $(wildcard packages/*/pyproject.toml)
	@PYTHON="$(PYTHON)" tools/setup.sh

ifdef PYTHON  # .venv may have another one
.PHONY: .venv/.ready
endif

demo: setup  ## train, register, deploy and score a model on this machine
	@$(BIN)/python examples/diabetes/demo.py

test: setup  ## run all tests
	$(PYTEST) -n 4  # more than the two cores of CI: the tests wait for half of their time

test-openapi: setup  ## have schemathesis examine every document, for minutes
	MODELPORT_SCHEMATHESIS_EXAMPLES=100 $(PYTEST) packages/modelport-scoring/tests/test_schemathesis.py

test-clients: setup  ## generate clients of the documents and use them; needs Java, and node for TypeScript
	tools/test_clients.sh

test-frameworks: setup  ## deploy a real model of every framework without code; installs 3 GB, takes minutes
	MODELPORT_TEST_FRAMEWORKS=all $(PYTEST) -v packages/modelport/tests/no_code/test_contract.py

test-containers: setup  ## run services in real container engines, Docker and Podman; needs root and Debian 12
	tools/test_containers.sh containers/test_rules.py containers/test_target.py containers/test_story.py

test-packages: setup  ## build packages and images with real container engines, and run them; the same, takes minutes
	tools/test_containers.sh containers/test_packages.py containers/test_images.py containers/test_registry.py \
	  containers/test_elsewhere.py

test-clusters: setup  ## run services on a real Kubernetes (TESTS=), which is compiled the first time; needs root and Debian 12
	$(PYTEST) -v --timeout 900 $(or $(TESTS),clusters)

check: setup lint types contracts docs  ## format, lint, types, import contracts, docs

format: setup  ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint:
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types:
	$(BIN)/mypy $(SOURCES)
	for folder in packages/*/tests; do $(BIN)/mypy $$folder || exit 1; done  # each has a conftest of that name
	$(BIN)/mypy stories docs bench containers clusters fuzz soak

contracts:
	$(BIN)/lint-imports

docs:
	$(PYTEST) -q docs

bench: setup  ## measure the scoring server beside its peers (PEERS=, WORKLOADS=, ROUNDS=, SECONDS=, REVISION=)
	@$(BIN)/python -m bench.scoring --peers "$(PEERS)" --workloads "$(WORKLOADS)" --revision "$(REVISION)" \
	  $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(SECONDS),--seconds $(SECONDS)) $(if $(filter yes,$(PUBLISH)),--publish) $(if $(filter yes,$(VERIFY)),--verify)

bench-quick: setup  ## compare the scoring server with the previous commit's (BASE=, ROUNDS=, SECONDS=)
	@$(BIN)/python -m bench.scoring.quick $(if $(BASE),--base $(BASE)) \
	  $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(SECONDS),--seconds $(SECONDS))

bench-registration: setup  ## time the registration of 1 GiB beside cp and sha256sum
	$(BIN)/python bench/registration.py

fuzz: setup  ## fuzz every target for MINUTES= (5), or only TARGETS=; findings become tests
	@tools/fuzz.sh $(or $(MINUTES),5) $(TARGETS)

soak: setup  ## kill workers under load for MINUTES= (10), and look for leaks in COUNT= requests (PUBLISH=)
	@$(BIN)/python -m soak $(if $(MINUTES),--minutes $(MINUTES)) $(if $(COUNT),--count $(COUNT)) $(if $(PUBLISH),--publish)

compatibility: setup  ## write the pages that are made from the code anew: compatibility, cli, az-ml
	$(BIN)/python -m modelport.cli.compatibility > docs/compatibility.md
	$(BIN)/python -m modelport.cli.reference > docs/cli.md
	$(BIN)/python -m modelport.cli.azure.reference > docs/az-ml.md
	$(BIN)/python -m modelport.cli.azure.extension_table > packages/modelport-azure-cli/src/azext_modelport/commands.json

lock: setup  ## resolve requirements-dev.in into constraints.txt again
	tools/lock.sh

wheels: setup  ## build the distributions into dist/, for pip install --find-links dist
	tools/wheels.sh

test-wheels: setup  ## build the distributions into dist/ and run stories with what was built
	tools/test_wheels.sh

clean:  ## remove what was built here; workspaces in MODELPORT_HOME stay
	rm -rf .venv .clients dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
