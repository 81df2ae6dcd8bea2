"""Without the SDK: a cluster that is attached by a command, and manifests that kubectl applies."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import httpx
import yaml

from clusters.bench import Bench, ask, eventually
from modelport.sdk.compute import ComputeTarget

_CONFIGURATION = {
    "computeType": "AKS",
    "autoScaler": {"autoscaleEnabled": False},
    "numReplicas": 2,
    "containerResourceRequirements": {"cpu": 0.1, "memoryInGB": 0.25},
    "keys": {"primaryKey": "first-key", "secondaryKey": "second-key"},
}


def test_manifests_that_kubectl_applies(bench: Bench) -> None:
    """As a GitOps tool would: rendered, applied, scored, rendered again for another version, and taken away."""
    attached = _modelport("compute", "attach", "-n", "by-command", "--context", "admin", *_settings(bench))
    assert "by-command" in attached
    target = ComputeTarget(bench.workspace, "by-command")
    service = bench.deploy("line", bench.inference("one"), target=target)
    images = {"one": _image(bench)}
    service.update(inference_config=bench.inference("two"))
    images["two"] = _image(bench)
    assert ask(service) == "two"
    configuration = bench.folder / "deployment.yml"
    configuration.write_text(yaml.safe_dump(_CONFIGURATION))
    for version in ("one", "two"):
        text = _modelport(
            *("k8s", "render", "-n", "meter", "--dc", str(configuration), "--image", images[version]),
            *("--expose", "NodePort", "--kubernetes-version", "1.20"),
        )
        applied = _kubectl(bench, "apply", "-f", "-", given=text)
        assert "deployment.apps/meter" in applied
        _kubectl(bench, "rollout", "status", "deployment/meter", "--timeout=120s", namespace=bench.namespace)
        eventually(partial(_answers, bench, version), f"{version} answers")
    assert "unchanged" in _kubectl(bench, "apply", "-f", "-", given=text)
    service.delete()
    _kubectl(bench, "delete", "-f", "-", "--wait=true", given=text)
    eventually(lambda: bench.left() == [], "nothing of it is left")


def _settings(bench: Bench) -> list[str]:
    return ["--registry", f"{bench.node.registry}/tests", "--expose", "NodePort", "--host", "127.0.0.1"]


def _image(bench: Bench) -> str:
    (pod,) = bench.pods("line")
    return str(pod["spec"]["containers"][0]["image"])


def _answers(bench: Bench, version: str) -> bool:
    path = f"/api/v1/namespaces/{bench.namespace}/services/meter"
    port = bench.node.api(path).json()["spec"]["ports"][0]["nodePort"]
    try:
        answer = httpx.post(
            f"http://127.0.0.1:{port}/api/v1/service/meter/score",
            headers={"Authorization": "Bearer second-key"},
            trust_env=False,
        )
    except httpx.HTTPError:
        return False
    return answer.is_success and bool(answer.json() == version)


def _modelport(*arguments: str) -> str:
    program = Path(sys.executable).with_name("modelport")
    ended = subprocess.run([program, *arguments, "-w", "tests"], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def _kubectl(bench: Bench, *arguments: str, given: str | None = None, namespace: str | None = None) -> str:
    assert shutil.which("kubectl"), "kubectl is not installed: apt-get install kubernetes-client"
    ended = subprocess.run(
        ["kubectl", *([] if namespace is None else ["--namespace", namespace]), *arguments],
        input=given,
        capture_output=True,
        text=True,
        env={**os.environ, "KUBECONFIG": str(bench.node.kubeconfig)},
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout
