"""Entry scripts behind real services, and plain HTTP to talk to them, as somebody who knows only the contract would."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelport import InferenceConfig, LocalWebservice, Model, Webservice, Workspace

JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Answer:
    """What came back. ``lines`` are the headers as they came; ``headers`` has them by their names in lower case."""

    status: int
    lines: list[tuple[str, str]]
    body: bytes

    @property
    def headers(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.lines}

    def all(self, name: str) -> list[str]:
        return [value for found, value in self.lines if found.lower() == name.lower()]

    @property
    def text(self) -> str:
        return self.body.decode("utf-8")

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        return str(self.json["message"])


class Served:
    """A service and its port."""

    def __init__(self, service: Webservice) -> None:
        self.service = service
        assert service.port is not None
        self.port: int = service.port

    def ask(
        self, method: str, path: str, body: str | bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request on a connection of its own, with these headers and no others but Host and a length."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            content = body.encode() if isinstance(body, str) else body
            length = {} if content is None else {"Content-Length": str(len(content))}
            for name, value in {**length, **(headers or {})}.items():
                connection.putheader(name, value)
            connection.endheaders(content)
            response = connection.getresponse()
            return Answer(response.status, response.getheaders(), response.read())
        finally:
            connection.close()

    def post(self, body: str | bytes, headers: Mapping[str, str] | None = None) -> Answer:
        """POST to /score, as JSON unless other headers are given."""
        return self.ask("POST", "/score", body, JSON if headers is None else headers)

    def get(self, path: str) -> Answer:
        return self.ask("GET", path)

    @property
    def log(self) -> str:
        return self.service.get_logs()


class Kitchen:
    """A workspace in which scripts are deployed, each under a name of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.workspace = Workspace.create("kitchen", show_output=False)
        self._numbers = itertools.count(1)

    @contextmanager
    def serve(
        self, script: str, *, files: Mapping[str, str] | None = None, entry_script: str = "score.py", mode: str = "json"
    ) -> Iterator[Served]:
        """Deploy the script and wait for it. With ``files`` it is shipped in a folder, ``source_directory``."""
        service = Model.deploy(
            self.workspace,
            f"dish-{next(self._numbers)}",
            [],
            self._config(script, files, entry_script),
            LocalWebservice.deploy_configuration(error_mode=mode),
        )
        try:
            service.wait_for_deployment()
            yield Served(service)
        finally:
            service.delete()

    def _config(self, script: str, files: Mapping[str, str] | None, entry_script: str) -> InferenceConfig:
        source = self.folder / str(next(self._numbers)) / "source_directory"
        for name, text in {**(files or {}), entry_script: script}.items():
            path = source / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text), encoding="utf-8")
        if files is None:
            return InferenceConfig(entry_script=str(source / entry_script))
        return InferenceConfig(entry_script=entry_script, source_directory=str(source))

    def close(self) -> None:
        for service in self.workspace.webservices.values():
            service.delete()
        self.workspace.registry.close()


@contextmanager
def open_kitchen(folder: Path) -> Iterator[Kitchen]:
    """A kitchen below ``folder``, with a MODELPORT_HOME of its own."""
    before = {name: os.environ.get(name) for name in _OURS}
    for name in _OURS:
        os.environ.pop(name, None)
    os.environ["MODELPORT_HOME"] = str(folder / "home")
    kitchen = Kitchen(folder)
    try:
        yield kitchen
    finally:
        kitchen.close()
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


# PYTHONDONTWRITEBYTECODE would have every worker compile numpy and pandas again
_OURS = ("MODELPORT_HOME", "MODELPORT_DATABASE_URL", "PYTHONDONTWRITEBYTECODE")
