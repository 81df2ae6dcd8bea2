"""One script of v1 that deploys one model three times: as a process, in a container and in a cluster."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import pytest

from clusters.bench import Bench
from clusters.meanwhile import meanwhile
from clusters.node import ADMIN, Node
from containers.conftest import OPT_OUT, PROGRAMS
from containers.engines import Engine, docker
from modelport import LocalWebservice

_SCRIPT = """
import json
import os

import joblib
import requests
from azureml.core import Environment, Workspace
from azureml.core.compute import AksCompute, ComputeTarget
from azureml.core.conda_dependencies import CondaDependencies
from azureml.core.model import InferenceConfig, Model
from azureml.core.webservice import AciWebservice, AksWebservice, LocalWebservice
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge

ws = Workspace.from_config()
x, y = load_diabetes(return_X_y=True)
joblib.dump(Ridge(alpha=0.03).fit(x, y), "sklearn_regression_model.pkl")
model = Model.register(workspace=ws, model_path="sklearn_regression_model.pkl", model_name="diabetes")

env = Environment(name="diabetes")
packages = ["azureml-defaults", *{packages}]
env.python.conda_dependencies = CondaDependencies.create(python_version="3.11", pip_packages=packages)
inference_config = InferenceConfig(entry_script="score.py", source_directory="source", environment=env)

attach_config = AksCompute.attach_configuration(resource_group="{group}", cluster_name="{cluster}")
aks_target = ComputeTarget.attach(ws, "production", attach_config)
aks_target.wait_for_completion(show_output=True)

local = Model.deploy(ws, "diabetes-local", [model], inference_config, LocalWebservice.deploy_configuration())
aci_config = AciWebservice.deploy_configuration(cpu_cores=1, memory_gb=1, auth_enabled=True)
aci = Model.deploy(ws, "diabetes-aci", [model], inference_config, aci_config)
aks_config = AksWebservice.deploy_configuration(cpu_cores=0.5, memory_gb=0.5, num_replicas=1)
aks = Model.deploy(ws, "diabetes-aks", [model], inference_config, aks_config, aks_target)

test_sample = json.dumps({{"data": [*x.tolist(), [1 / 3] * 10]}})
for service in (local, aci, aks):
    service.wait_for_deployment(show_output=True)
    headers = {{"Content-Type": "application/json"}}
    if service.auth_enabled:
        refused = requests.post(service.scoring_uri, data=test_sample, headers=headers)
        assert refused.status_code == 401, refused.text
        headers["Authorization"] = "Bearer " + service.get_keys()[1]
    answer = requests.post(service.scoring_uri, data=test_sample, headers=headers)
    answer.raise_for_status()
    assert answer.json() == service.run(test_sample)
    with open(service.name, "wb") as file:
        file.write(answer.content)
    print(service.name, service.compute_type, service.state, service.auth_enabled)
for service in (aks, aci, local):
    service.delete()
aks_target.detach()
"""
_SCORE = """
import json
import os

import joblib
import numpy


def init():
    global model
    model = joblib.load(os.path.join(os.getenv("AZUREML_MODEL_DIR"), "sklearn_regression_model.pkl"))


def run(raw_data):
    return model.predict(numpy.array(json.loads(raw_data)["data"])).tolist()
"""
_PATIENTS = 442
_PATIENCE_S = 600


@pytest.fixture
def engine() -> Iterator[Engine]:
    """Docker, beside the node's containerd."""
    if "docker" in os.environ.get(OPT_OUT, "").split(","):
        pytest.skip(f"{OPT_OUT} says so")
    missing = [program for program in PROGRAMS["docker"] if shutil.which(program) is None]
    if missing:
        pytest.fail(f"{missing} not installed: run make test-containers, or set {OPT_OUT}=docker.")
    with docker(Path(tempfile.mkdtemp(prefix="modelport-engine-"))) as running:
        yield running


def test_one_script_deploys_one_model_to_every_place(
    node: Node, bench: Bench, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = [f"{name}=={version(name)}" for name in ("scikit-learn", "joblib", "numpy", "scipy")]
    files = {
        "config.json": json.dumps({"subscription_id": "1", "resource_group": "aml", "workspace_name": "tests"}),
        "deploy.py": _SCRIPT.format(packages=packages, group="aml", cluster=ADMIN),
        "source/score.py": _SCORE,
    }
    for name, text in files.items():
        (bench.folder / name).parent.mkdir(exist_ok=True)
        (bench.folder / name).write_text(text)
    # What a machine that is set up has: an engine, a kubeconfig, and a registry that the cluster pulls from.
    monkeypatch.delenv("MODELPORT_ACI", raising=False)
    monkeypatch.setenv("MODELPORT_CONTAINER_ENGINE", engine.address)
    monkeypatch.setenv("MODELPORT_IMAGE_REGISTRY", f"{node.registry}/tests")
    try:
        with _balancing(node):
            said = _run(bench.folder, "deploy.py")
    finally:  # the processes outlive a script that fails
        for service in LocalWebservice.list(bench.workspace):
            service.delete()
    for told in (
        "diabetes-local Local running False",
        "diabetes-aci ACI Healthy True",
        "diabetes-aks AKS Healthy True",
        f"runs in a container of the engine at {engine.address}",
        f"runs in the cluster of the context {ADMIN!r}",
    ):
        assert told in said, said
    answers = [(bench.folder / f"diabetes-{place}").read_bytes() for place in ("local", "aci", "aks")]
    process, container, cluster = answers
    assert len(json.loads(process)) == _PATIENTS + 1
    assert process == container == cluster, "to the last bit: JSON has doubles whole"
    assert "modelport" not in engine.says("ps", "--all", "--format", "{{.Names}}")


@contextmanager
def _balancing(node: Node) -> Iterator[None]:
    """What clouds have: Services that ask for a load balancer get an address, at which kube-proxy answers for them.
    Without, the script would wait for minutes before it takes the port of a node."""

    def give(over: threading.Event) -> None:
        given = {"status": {"loadBalancer": {"ingress": [{"ip": node.address}]}}}
        while not over.wait(0.5):
            for found in node.api("/api/v1/services").json()["items"]:
                if found["spec"]["type"] == "LoadBalancer" and not found["status"]["loadBalancer"]:
                    about = found["metadata"]
                    path = f"/api/v1/namespaces/{about['namespace']}/services/{about['name']}/status"
                    node.api(path, "PATCH", body=given, kind="application/merge-patch+json")

    with meanwhile(give):
        yield


def _run(folder: Path, script: str) -> str:
    """What it printed; fails with that where it does not succeed in time."""
    printed = folder / "printed"
    with printed.open("wb") as file:
        try:
            command = [sys.executable, script]
            subprocess.run(command, cwd=folder, stdout=file, stderr=file, check=True, timeout=_PATIENCE_S)
        except subprocess.SubprocessError as error:
            pytest.fail(f"{error}\n{printed.read_text()}")
    return printed.read_text()
