"""A script of v1 that runs on a cluster as it is."""

from __future__ import annotations

import subprocess
import sys

from clusters.bench import Bench

_V1 = """
from azureml.core import Environment, Workspace
from azureml.core.compute import AksCompute, ComputeTarget
from azureml.core.compute_target import ComputeTargetException
from azureml.core.conda_dependencies import CondaDependencies
from azureml.core.model import InferenceConfig, Model
from azureml.core.webservice import AksWebservice, Webservice

ws = Workspace.get(name="tests", subscription_id="1", resource_group="group")
model = Model.register(workspace=ws, model_path="model.txt", model_name="number")

aks_name = "my-aks"
try:
    aks_target = ComputeTarget(workspace=ws, name=aks_name)
    print("Found existing cluster, use it.")
except ComputeTargetException:
    prov_config = AksCompute.provisioning_configuration()
    aks_target = ComputeTarget.create(workspace=ws, name=aks_name, provisioning_configuration=prov_config)
    aks_target.wait_for_completion(show_output=True)

env = Environment(name="env")
env.python.conda_dependencies = CondaDependencies.create(python_version="3.11", pip_packages=["azureml-defaults"])
inference_config = InferenceConfig(entry_script="score.py", environment=env)
aks_config = AksWebservice.deploy_configuration(autoscale_enabled=True, autoscale_min_replicas=1,
                                                autoscale_max_replicas=3, cpu_cores=0.1, memory_gb=0.5)
service = Model.deploy(workspace=ws, name="aks-service", models=[model], inference_config=inference_config,
                       deployment_config=aks_config, deployment_target=aks_target)
service.wait_for_deployment(show_output=True)
print(service.state)
print(service.run('{"data": [1, 2]}'))
print(Webservice.list(ws, compute_type="AKS"))
service.delete()
"""

_V1_SCORE = """
import json
import os


def init():
    global number
    with open(os.path.join(os.getenv("AZUREML_MODEL_DIR"), "model.txt")) as file:
        number = int(file.read())


def run(raw_data):
    return [number * each for each in json.loads(raw_data)["data"]]
"""


def test_a_script_of_v1_as_it_is(bench: Bench) -> None:
    """Somebody has attached the cluster under the name that the script knows."""
    files = {"model.txt": "21", "score.py": _V1_SCORE, "deploy.py": _V1}
    for name, text in files.items():
        (bench.folder / name).write_text(text)
    command = [sys.executable, "deploy.py"]
    ended = subprocess.run(command, cwd=bench.folder, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    lines = ended.stdout.splitlines()
    assert "Healthy" in lines
    assert "[21, 42]" in lines
    assert 'AKS service creation operation finished, operation "Succeeded"' in ended.stdout
    assert "runs in the cluster of the context 'admin'" in ended.stdout
