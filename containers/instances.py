"""Container instances in an engine, for tests: one home for all, so that images are made once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from containers.engines import Engine
from modelport import Environment, InferenceConfig, Model, Workspace
from modelport.sdk.aci import AciWebservice

SCRIPT = """
import json
import os


def init():
    global factor
    {init}
    with open(os.path.join(os.environ["AZUREML_MODEL_DIR"], "factor.json")) as file:
        factor = json.load(file)
    print("the factor is", factor)


def run(data):
    {run}
    return [value * factor for value in json.loads(data)["data"]]
"""
BODY = json.dumps({"data": [1, 2]})
EATER = "b = bytearray(400 * 1024 * 1024); b[::4096] = b'x' * len(b[::4096])"


@dataclass
class Instances:
    """Deploys, and looks behind the scenes."""

    engine: Engine
    workspace: Workspace
    folder: Path

    def model(self, factor: int) -> Model:
        (self.folder / "factor.json").write_text(str(factor))
        return Model.register(self.workspace, self.folder / "factor.json", "factor")

    def code(
        self, init: str = "pass", *, run: str = "pass", variables: dict[str, str] | None = None
    ) -> InferenceConfig:
        (self.folder / "score.py").write_text(SCRIPT.format(init=init, run=run))
        environment = Environment("env")
        environment.python.user_managed_dependencies = True
        environment.environment_variables = variables or {}
        return InferenceConfig("score.py", source_directory=str(self.folder), environment=environment)

    def deploy(self, name: str, code: InferenceConfig, *, factor: int = 2, **asked: Any) -> AciWebservice:
        configuration = AciWebservice.deploy_configuration(**{"cpu_cores": 1, "memory_gb": 0.5, **asked})
        service = Model.deploy(self.workspace, name, [self.model(factor)], code, configuration)
        assert isinstance(service, AciWebservice)
        return service

    def containers(self, name: str) -> dict[str, dict[str, Any]]:
        """Everything that the engine says of the containers of a service, by their names."""
        label = f"label=modelport.dev/service={name}"
        ids = self.engine.says("ps", "--all", "--quiet", "--no-trunc", "--filter", label).split()
        found = json.loads(self.engine.says("inspect", *ids)) if ids else []
        return {one["Name"].lstrip("/"): one for one in found}

    def server(self, name: str) -> dict[str, Any]:
        """The container that serves."""
        (server,) = [one for one in self.containers(name).values() if _is_server(one)]
        return server

    def everything(self) -> set[str]:
        """Names of all that the engine has of ours."""
        listings = (
            ("ps", "--all", "--format", "container {{.Names}}"),
            ("volume", "ls", "--format", "volume {{.Name}}"),
            ("network", "ls", "--format", "network {{.Name}}"),
            ("images", "--format", "image {{.Repository}}:{{.Tag}}"),
        )
        found = {name for listing in listings for name in self.engine.names_of(*listing)}
        return {name for name in found if "modelport" in name and "modelport-test" not in name}


def _is_server(inspected: dict[str, Any]) -> bool:
    labels: dict[str, str] = inspected["Config"]["Labels"]
    return labels["modelport.dev/role"] == "server"
