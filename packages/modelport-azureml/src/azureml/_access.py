"""How a script reaches its workspace: operations by name, with JSON in and out.

Where the client is there, its workspace carries them out in this process. In a Python without the client (an
environment with a Python of its own) a program of the client does, which the run's folder names.
"""

import json
import os
import subprocess
from typing import Any, Dict, Optional

from azureml import exceptions


class WorkspaceAccess:
    """The operations of one workspace (modelport/sdk/access.py lists them)."""

    def call(self, operation: str, **arguments: Any) -> Any:
        """What the operation answers. Raises what it raises: classes of ``azureml.exceptions``."""
        raise NotImplementedError

    def model(self, described: Dict[str, Any]) -> Any:
        """The registered model of that description."""
        raise NotImplementedError


class AccessByProgram(WorkspaceAccess):
    """Asks a program of the client, once for each operation."""

    def __init__(self, workspace: str, *, command: Any, environment: Dict[str, Optional[str]]) -> None:
        """``environment``: variables to be set for the program, or, with None, to be absent."""
        self._workspace = workspace
        self._command = list(command)
        self._environment = environment

    def call(self, operation: str, **arguments: Any) -> Any:
        """Raises AzureMLException where the program cannot be run."""
        asked = {"workspace": self._workspace, "operation": operation, "arguments": arguments}
        try:
            done = subprocess.run(
                self._command,
                input=json.dumps(asked).encode("utf-8"),
                stdout=subprocess.PIPE,
                env=self._environ(),
                cwd=os.sep,
            )
        except OSError as error:
            raise exceptions.AzureMLException(
                "The workspace cannot be reached: {} does not run: {}.".format(self._command[0], error)
            )
        if done.returncode != 0:
            raise exceptions.AzureMLException(
                "The workspace cannot be reached: {} ended with status {}; what it said is above.".format(
                    " ".join(self._command), done.returncode
                )
            )
        return _answer(json.loads(done.stdout.decode("utf-8")))

    def model(self, described: Dict[str, Any]) -> Any:
        """The description as an object."""
        return RegisteredModel(described)

    def _environ(self) -> Dict[str, str]:
        environ = dict(os.environ)
        for name, value in self._environment.items():
            if value is None:
                environ.pop(name, None)
            else:
                environ[name] = value
        return environ


def _answer(said: Dict[str, Any]) -> Any:
    error = said.get("error")
    if error is None:
        return said["answer"]
    kind = getattr(exceptions, error["type"], exceptions.AzureMLException)
    raise kind(error["message"])


class RegisteredModel:
    """A registered model, as a script without the client has it: what it is, and nothing to be done with it."""

    def __init__(self, described: Dict[str, Any]) -> None:
        self.name: str = described["name"]
        self.version: int = described["version"]
        self.id: str = described["id"]
        self.description: Optional[str] = described["description"]
        self.tags: Dict[str, str] = described["tags"]
        self.properties: Dict[str, str] = described["properties"]
        self.run_id: Optional[str] = described["runId"]
        self.experiment_name: Optional[str] = described["experimentName"]
        self.model_framework: Optional[str] = described["framework"]
        self.model_framework_version: Optional[str] = described["frameworkVersion"]
        self._described = described

    def serialize(self) -> Dict[str, Any]:
        """The model as a dictionary with the keys of v1."""
        return dict(self._described)

    def __repr__(self) -> str:
        return "Model(name={}, id={}, version={}, tags={}, properties={})".format(
            self.name, self.id, self.version, self.tags, self.properties
        )
