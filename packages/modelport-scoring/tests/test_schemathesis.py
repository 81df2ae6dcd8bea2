"""schemathesis reads the documents and looks for requests whose answers they do not foresee; every check of its is on.

``make test-openapi`` runs all combinations, with more requests.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import schemathesis
from schemathesis import Case, GenerationMode
from schemathesis.core.result import Err

from modelport_scoring.settings.service import AuthSettings, ErrorMode
from openapi_scripts import ALL
from scoring_services import RunningService, Services

KEY = "a-key-of-the-tests"
DIGEST = hashlib.sha256(KEY.encode()).hexdigest()
TESTS = Path(__file__).parent

EXAMPLES = int(os.environ.get("MODELPORT_SCHEMATHESIS_EXAMPLES", "8"))
QUICK = [("numpy", "2", "locked"), ("pandas", "3.1", "open"), ("undecorated", "2", "open"), ("raw", "3", "locked")]
EVERY = [(script, version, auth) for script in ALL for version in ("2", "3", "3.1") for auth in ("open", "locked")]
COMBINATIONS = QUICK if EXAMPLES < 20 else EVERY

CONFIGURATION = """
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", "{script_failed}"]

[checks.negative_data_rejection]
enabled = false  # wrong_requests_are_rejected calls it
"""

Serve = Callable[..., RunningService]


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Starts a service of that script, once for all tests of the module."""
    services = Services(tmp_path_factory.mktemp("services"))
    running: dict[tuple[str, str, ErrorMode], RunningService] = {}

    def start(script: str, *, auth: str = "open", mode: ErrorMode = ErrorMode.CLOUD) -> RunningService:
        key = (script, auth, mode)
        if key not in running:
            enabled = {"enabled": True, "key_digests": [DIGEST]} if auth == "locked" else {}
            running[key] = services.start(ALL[script], auth=enabled, error_mode=mode)
        return running[key]

    yield start
    services.end()


def document_of(service: RunningService, version: str) -> str:
    return f"http://127.0.0.1:{service.settings.port}/swagger.json?version={version}"


def run_schemathesis(service: RunningService, version: str, *, folder: Path, script_failed: int = 502) -> None:
    """The command, with every check and phase; it must find nothing."""
    configuration = folder / "schemathesis.toml"
    configuration.write_text(CONFIGURATION.format(script_failed=script_failed))
    key = ["--header", f"Authorization: Bearer {KEY}"] if service.settings.auth.enabled else []
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(configuration), "run"]
    command += [document_of(service, version), *key, "--max-examples", str(EXAMPLES), "--no-color"]
    command += ["--seed", "20190115", "--generation-deterministic", "--continue-on-failure"]
    environ = {**os.environ, "PYTHONPATH": str(TESTS), "SCHEMATHESIS_HOOKS": "schemathesis_checks"}
    ended = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=600)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "No issues found" in ended.stdout


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("script", "version", "auth"), COMBINATIONS)
def test_nothing_is_found(serve: Serve, tmp_path: Path, script: str, version: str, auth: str) -> None:
    run_schemathesis(serve(script, auth=auth), version, folder=tmp_path)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("mode", [ErrorMode.CONTAINER, ErrorMode.JSON] if EXAMPLES >= 20 else [ErrorMode.CONTAINER])
def test_nothing_is_found_in_the_other_error_modes(serve: Serve, tmp_path: Path, mode: ErrorMode) -> None:
    run_schemathesis(serve("numpy", mode=mode), "3", folder=tmp_path, script_failed=500)


@pytest.mark.parametrize("version", ["2", "3.1"])
@pytest.mark.parametrize("script", ALL)
def test_what_the_document_admits_is_answered(serve: Serve, script: str, version: str) -> None:
    """Requests that keep to the document: with schemathesis' checks as they are, a server error is one too many."""
    schema = schemathesis.openapi.from_url(document_of(serve(script), version))
    for found in schema.get_all_operations():
        assert not isinstance(found, Err), found
        operation = found.ok()

        @hypothesis.given(case=operation.as_strategy(generation_mode=GenerationMode.POSITIVE))
        @hypothesis.settings(
            max_examples=EXAMPLES,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        def answers_as_documented(case: Case[Any]) -> None:
            case.call_and_validate()

        answers_as_documented()


def test_documents_follow_what_configure_changes(serve: Serve) -> None:
    service = serve("undecorated", mode=ErrorMode.JSON)
    assert needs_key(service, headers={}) is False
    service.control.configure(auth=AuthSettings(enabled=True, key_digests=[DIGEST]))
    assert needs_key(service, headers={"Authorization": f"Bearer {KEY}"}) is True


def needs_key(service: RunningService, *, headers: dict[str, str]) -> bool:
    document = service.ask("GET", "/swagger.json?version=3", headers=headers).json
    return {} not in document["paths"]["/score"]["post"]["security"]
