"""Folders laid out as an image is, served by the start program of an image."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modelport_scoring import ErrorMode, RevisionSettings, ServiceSettings, SettingsInvalid, write_settings
from modelport_scoring.container.packaged import Placement
from modelport_scoring.service_folder import read_settings
from scoring_services import PATIENCE_S, kill_session, wait_until, write_bundle

SCRIPT = """
    import os

    def init():
        print("init in", os.getcwd())

    def run(data):
        if data == "fail":
            raise ValueError("no such luck")
        with open("written_beside", "w") as file:
            file.write("x")
        names = ("AML_APP_ROOT", "AZUREML_MODEL_DIR", "AZUREML_ENTRY_SCRIPT", "SERVICE_NAME", "FROM_BUNDLE")
        return {name: os.environ.get(name) for name in names}
"""


class Package:
    """A folder laid out as an image is, and the start program when it runs."""

    def __init__(self, folder: Path, script: str = SCRIPT) -> None:
        self.root = folder / "image"
        self.folder = folder / "service"
        self.server = self.root / "azureml-server"
        self.app = self.root / "azureml-app"
        bundle = write_bundle(self.root / "bundle", script, models={"answer": "42"})
        (bundle / "app").rename(self.app)
        (bundle / "azureml-models").rename(self.app / "azureml-models")
        bundle.rename(self.server)
        self.process: subprocess.Popen[bytes] | None = None
        self.output = folder / "output.log"
        self.write()

    def write(self, **settings: Any) -> None:
        # a relative path leads from the package's folder to the interpreter, as it does in an image
        python = os.path.relpath(sys.executable, self.server)
        revision = RevisionSettings(number=1, bundle=".", interpreter=[python], app_root="../azureml-app")
        fields: dict[str, Any] = {"error_mode": ErrorMode.CONTAINER, "ends_with_script": True, **settings}
        write_settings(self.server, ServiceSettings(name="demo", workspace="", revision=revision, **fields))

    def placed(self, variables: Mapping[str, str]) -> ServiceSettings:
        placement = Placement(package=self.server, folder=self.folder, environ=variables)
        return placement.placed(read_settings(self.server))

    def start(
        self,
        variables: Mapping[str, str] | None = None,
        *,
        options: Sequence[str] = ("--port", "0"),
        output: Any = None,
        user: int | None = None,
    ) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-P", "-m", "modelport_scoring.container", "--package", str(self.server)]
        command += ["--folder", str(self.folder), *options]
        with self.output.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                env={**os.environ, **(variables or {})},
                stdout=output or log,
                stderr=subprocess.STDOUT,
                user=user,
                group=user,
                extra_groups=None if user is None else [],
            )
        return self.process

    def healthy(self) -> None:
        wait_until(lambda: self._health() == b"Healthy", what=f"health: {self.log}")

    @property
    def log(self) -> str:
        return self.output.read_text()

    def header_names(self) -> set[str]:
        """Of an answer to ``/score``, in lower case."""
        connection = http.client.HTTPConnection("127.0.0.1", read_settings(self.folder).port, timeout=PATIENCE_S)
        try:
            connection.request("POST", "/score", body="1")
            answer = connection.getresponse()
            answer.read()
            return {name.lower() for name, _ in answer.getheaders()}
        finally:
            connection.close()

    def ask(self, method: str, path: str, body: str | None = None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", read_settings(self.folder).port, timeout=PATIENCE_S)
        try:
            connection.request(method, path, body=body)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def end(self) -> None:
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(PATIENCE_S)
        finally:
            kill_session(self.process.pid)

    def _health(self) -> bytes:
        assert self.process is not None
        assert self.process.poll() is None, self.log
        try:
            return self.ask("GET", "/")[1]
        except (SettingsInvalid, OSError):
            return b""
