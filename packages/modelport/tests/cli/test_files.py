"""Configuration and metadata files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modelport.cli.deployment_file import DeploymentFile, read_deployment
from modelport.cli.files import read_document, read_model_id
from modelport.cli.inference import InferenceFile, read_inference
from modelport.domain.deployments import ComputeType
from modelport.domain.errors import UserErrorException

FORM_A_JSON = """{"entryScript": "score.py", "runtime": "python", "condaFile": "env.yml", "schemaFile": null,
 "extraDockerfileSteps": "steps", "sourceDirectory": "src", "enableGpu": false, "baseImage": null,
 "baseImageRegistry": null, "cudaVersion": null}"""
FORM_A_YAML = """
entryScript: score.py
runtime: python
condaFile: env.yml
schemaFile:
extraDockerFileSteps: steps
sourceDirectory: src
enableGpu: "False"
baseImage:
"""
FORM_A = {
    "entry_script": "score.py",
    "runtime": "python",
    "conda_file": "env.yml",
    "extra_docker_file_steps": "steps",
    "source_directory": "src",
    "enable_gpu": False,
}


def written(folder: Path, text: str, name: str = "file.json") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "text", [FORM_A_JSON, "\ufeff" + FORM_A_JSON.replace(",", ",\n\t"), FORM_A_YAML, "\ufeff" + FORM_A_YAML]
)
def test_the_older_form_of_an_inference_file(tmp_path: Path, text: str) -> None:
    assert read_inference(written(tmp_path, text)) == InferenceFile(FORM_A, [])


def test_the_newer_form_holds_an_environment(tmp_path: Path) -> None:
    text = """{"entryScript": "score.py", "sourceDirectory": "src", "environment": {"name": "mine", "python":
    {"condaDependencies": {"name": "x", "dependencies": ["python=3.8", {"pip": ["numpy"]}]}}}}"""
    settings = read_inference(written(tmp_path, text)).settings
    definition = settings["environment"].to_definition()
    assert (settings["source_directory"], definition.name) == ("src", "mine")
    assert definition.python.conda is not None
    assert definition.python.conda.pip == ("numpy",)


def test_unknown_keys_are_told_as_they_are_written(tmp_path: Path) -> None:
    assert read_inference(written(tmp_path, '{"entryScript": "s.py", "NewKey": 1}')).unknown == ["NewKey"]


def test_paths_are_beside_the_file_where_they_are_not_in_the_cwd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    file = written(tmp_path / "config", '{"entryScript": "score.py"}')
    (tmp_path / "config/score.py").touch()
    assert read_inference(file).settings["entry_script"] == str(tmp_path / "config/score.py")
    (tmp_path / "cwd/score.py").touch()
    assert read_inference(file).settings["entry_script"] == "score.py"


@pytest.mark.parametrize(
    ("text", "settings", "unknown"),
    [
        ('{"computeType": "local", "port": 8890}', {"port": 8890}, []),
        ("computeType: LOCAL\nport: '8890'\n", {"port": 8890}, []),
        ('{"port": null, "authEnabled": "true"}', {"auth_enabled": True}, []),
        (
            '{"keys": {"primaryKey": "a", "secondaryKey": "b"}, "tags": {"n": 1}, "description": "d"}',
            {"primary_key": "a", "secondary_key": "b", "tags": {"n": "1"}, "description": "d"},
            [],
        ),
        (
            '{"maxQueueWaitMs": 700, "limits": {"max_queue_length": 5}}',
            {"limits": {"max_queue_length": 5}, "max_request_wait_time": 700},
            [],
        ),
        ('{"autoScaler": {"soon": 1}, "keys": {"third": 1}, "new": 1}', {}, ["new", "keys.third", "autoScaler.soon"]),
        (
            '{"batching": true, "warmUp": "True", "workerStart": "fork", "corsOrigins": ["https://a.example"]}',
            {"batching": True, "warm_up": True, "worker_start": "fork", "cors_origins": ["https://a.example"]},
            [],
        ),
        (
            "batching: {maxRequests: 32, max_wait_ms: 2}\ncorsOrigins: https://a.example, *\n",
            {"batching": {"max_requests": 32, "max_wait_ms": 2}, "cors_origins": "https://a.example, *"},
            [],
        ),
        ('{"batching": "16", "workers": "2"}', {"batching": 16, "workers": 2}, []),
        ('{"serverProcesses": 2}', {"server_processes": 2}, []),
        ('{"batching": null, "corsOrigins": null, "telemetry": {}}', {}, []),
        (
            '{"telemetry": {"accessLog": true, "sampling_ratio": 0.5, "otlpEndpoint": null}}',
            {"telemetry": {"access_log": True, "sampling_ratio": 0.5, "otlp_endpoint": None}},
            [],
        ),
        (
            '{"scoringTimeoutMs": 500, "maxConcurrentRequestsPerContainer": "3", "limits": {"maxBodyBytes": 9}}',
            {"scoring_timeout_ms": 500, "replica_max_concurrent_requests": 3, "limits": {"max_body_bytes": 9}},
            [],
        ),
        (
            '{"appInsightsEnabled": true, "dataCollection": {"storageEnabled": false, "eventHubEnabled": false}}',
            {"enable_app_insights": True, "collect_model_data": False},
            ["dataCollection.eventHubEnabled"],
        ),
    ],
)
def test_deployment_files(tmp_path: Path, text: str, settings: dict[str, Any], unknown: list[str]) -> None:
    kind = ComputeType.LOCAL if "computeType" in text else None
    assert read_deployment(written(tmp_path, text)) == DeploymentFile(settings, unknown, kind)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"computeType": "VAX"}', "'VAX': this Modelport has no such target. It has: local, aci, aks, aksendpoint"),
        ('{"containerResourceRequirements": {"cpu": "much"}}', "'cpu' must be a number, not 'much'"),
        ('{"port": "many"}', "'port' must be a whole number, not 'many'"),
        ('{"port": true}', "'port' must be a whole number"),
        ('{"authEnabled": "perhaps"}', "'authEnabled' must be true or false"),
        ('{"keys": ["a"]}', "'keys' must be an object"),
        ('{"limits": {"queue_wait_ms": "long"}}', "'queue_wait_ms' must be a number"),
        ('{"batching": "perhaps"}', "'batching' must be true, false, a whole number or an object, not 'perhaps'"),
        ('{"batching": 1.5}', "'batching' must be"),
        ('{"corsOrigins": {"a": 1}}', "'corsOrigins' must be a text or a list of texts"),
        ('{"corsOrigins": [1]}', "'corsOrigins' must be a text or a list of texts"),
        ('{"scoringTimeoutMs": "soon"}', "'scoringTimeoutMs' must be a whole number"),
        ('{"telemetry": true}', "'telemetry' must be an object"),
    ],
)
def test_deployment_files_that_are_wrong(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserErrorException) as caught:
        read_deployment(written(tmp_path, text))
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1,\n "b": }', "must be valid JSON or YAML"),
        ('{"a": 1,\n "b": }', "line 2"),
        ("a: [1\nb: 2\n", "line 2"),
        ("- a\n", "must hold an object"),
    ],
)
def test_what_is_neither_json_nor_yaml(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserErrorException) as caught:
        read_document(written(tmp_path, text), flag="--inference-config-file")
    assert message in caught.value.message
    assert "--inference-config-file" in caught.value.message


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UserErrorException, match="Cannot read the file"):
        read_document(tmp_path / "missing.json", flag="--ic")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\xfd")
    with pytest.raises(UserErrorException, match="not text in UTF-8"):
        read_document(tmp_path / "binary", flag="--ic")


def test_model_metadata(tmp_path: Path) -> None:
    assert read_model_id(written(tmp_path, '{"modelId": "m:3", "more": 1}')) == "m:3"
    with pytest.raises(UserErrorException, match="'modelId' is missing"):
        read_model_id(written(tmp_path, "{}"))
