"""What stories need: a workspace with the cluster attached, scripts, and a look at what the cluster has."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from clusters.node import ADMIN, Node
from clusters.node_settings import SERVICES
from clusters.programs import wait_until
from clusters.traces import BRIDGE
from modelport import CondaDependencies, Environment, InferenceConfig, Model, Workspace
from modelport.sdk.aks import AksWebservice
from modelport.sdk.compute import AksCompute, ComputeTarget
from modelport.sdk.webservice import Webservice

SCRIPT = """
import json
import os
import socket
import time

{more}

def init():
    print("init of", {version!r})
    {init}


def run(raw_data):
    {run}
    return {version!r}
"""


@dataclass(frozen=True)
class Bench:
    """A workspace, and the cluster as its compute target ``my-aks``."""

    node: Node
    workspace: Workspace
    folder: Path

    def attach(
        self,
        name: str = "my-aks",
        *,
        context: str = ADMIN,
        certificate: Path | None = None,
        cname: str | None = None,
        **settings: Any,
    ) -> ComputeTarget:
        """Nodes are reached at the loopback address, so that tests send nothing anywhere else. The certificate's key is
        beside it, in ``.key``."""
        given = {"registry": f"{self.node.registry}/tests", "expose": "NodePort", "host": "127.0.0.1", **settings}
        configuration = AksCompute.attach_configuration(context=context, **given)
        if certificate is not None:
            configuration.enable_ssl(cname, str(certificate), str(certificate.with_suffix(".key")))
        return ComputeTarget.attach(self.workspace, name, configuration)

    def inference(
        self, version: str, *, init: str = "pass", run: str = "pass", more: str = "", packages: tuple[str, ...] = ()
    ) -> InferenceConfig:
        """A script that answers with its version."""
        (self.folder / "source").mkdir(exist_ok=True)
        script = self.folder / "source" / "score.py"
        script.write_text(SCRIPT.format(version=version, init=init, run=run, more=more))
        return InferenceConfig("score.py", source_directory=str(script.parent), environment=self.environment(*packages))

    def environment(self, *packages: str) -> Environment:
        environment = Environment("tests")
        dependencies = CondaDependencies.create(python_version="3.11", pip_packages=list(packages))
        environment.python.conda_dependencies = dependencies
        return environment

    def deploy(
        self,
        name: str,
        inference: InferenceConfig,
        *,
        target: ComputeTarget | None = None,
        models: list[Model] | None = None,
        wait: bool = True,
        **settings: Any,
    ) -> AksWebservice:
        """A service that takes requests, or is on its way there."""
        given = {"cpu_cores": 0.1, "memory_gb": 0.25, "autoscale_enabled": False, "num_replicas": 1, **settings}
        service = Model.deploy(
            self.workspace,
            name,
            models or [],
            inference,
            AksWebservice.deploy_configuration(**given),
            deployment_target=target or ComputeTarget(self.workspace, "my-aks"),
        )
        assert isinstance(service, AksWebservice)
        if wait:
            service.wait_for_deployment()
        return service

    @property
    def namespace(self) -> str:
        """The workspace's own."""
        found = self.node.api("/api/v1/namespaces").json()["items"]
        label, wanted = "modelport.dev/workspace-id", self.workspace.context.record.id
        names = [each["metadata"]["name"] for each in found if each["metadata"].get("labels", {}).get(label) == wanted]
        assert len(names) == 1, names
        return str(names[0])

    def pods(self, service: str) -> list[dict[str, Any]]:
        """Those that are not about to go."""
        path = f"/api/v1/namespaces/{self.namespace}/pods?labelSelector=modelport.dev/service={service}"
        found: list[dict[str, Any]] = self.node.api(path).json()["items"]
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def pod_names(self, service: str) -> set[str]:
        return {str(pod["metadata"]["name"]) for pod in self.pods(service)}

    def address(self, service: Webservice) -> str:
        """The scoring address at the Service's own IP, for loads. On the port of the node kube-proxy 1.20 listens
        itself, to keep it: a connection that is opened while its rules are changed may reach that, and is never
        answered."""
        path = f"/api/v1/namespaces/{self.namespace}/services/{service.name}"
        spec = self.node.api(path).json()["spec"]
        # An answer is to come by the pods' bridge, and what no rule sends to a pod is to stay there.
        subprocess.run(["ip", "route", "replace", SERVICES, "dev", BRIDGE], check=True)
        return f"http://{spec['clusterIP']}:{spec['ports'][0]['port']}{urlsplit(str(service.scoring_uri)).path}"

    def left(self) -> list[str]:
        """What the cluster has of the workspace, in any namespace."""
        selector = f"labelSelector=modelport.dev/workspace-id={self.workspace.context.record.id}"
        found = []
        for path in (
            "api/v1/namespaces",
            "api/v1/pods",
            "api/v1/services",
            "api/v1/secrets",
            "api/v1/configmaps",
            "api/v1/serviceaccounts",
            "apis/apps/v1/deployments",
            "apis/apps/v1/replicasets",
            "apis/networking.k8s.io/v1/networkpolicies",
            "apis/policy/v1beta1/poddisruptionbudgets",
            "apis/autoscaling/v1/horizontalpodautoscalers",
        ):
            items = self.node.api(f"/{path}?{selector}").json()["items"]
            found += [f"{path.rpartition('/')[2]} {each['metadata']['name']}" for each in items]
        return found


def ask(service: AksWebservice, data: Any = None) -> Any:
    """What the service answers."""
    return service.run(json.dumps(data))


def eventually(true: Callable[[], bool], what: str, *, within_s: float = 60) -> None:
    """Fails where it is not so in time."""
    assert wait_until(true, within_s=within_s), f"not in time: {what}"
