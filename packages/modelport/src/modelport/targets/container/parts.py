"""The containers, volumes and networks of one service in an engine."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
import tarfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import docker
from docker.errors import APIError, NotFound
from docker.models.containers import Container
from docker.types import LogConfig

from modelport.domain.errors import WebserviceException
from modelport.domain.failures import Failure
from modelport.targets.container.archives import File, first_file, packed
from modelport.targets.container.failures import LAST_LINES, failure_of
from modelport.targets.container.names import HOLDER, REVISION, ROLE, SERVER, Names
from modelport.targets.container.plan import FOLDER, MODEL_DATA, OWN, SHARED, ContainerSpec, creation
from modelport_scoring.container.report import REPORT, Report, decode_report
from modelport_scoring.service_folder import EARLIER_FAILURE, FAILURE

_LOGS = LogConfig(type=LogConfig.types.JSON, config={"max-size": "10m", "max-file": "3"})
_TRIES = 20
_START_S = 2.0
"""An engine says a little too late when it has started a container."""
_PAUSE_S = 0.05
_FRACTION = re.compile(r"(\.\d{6})\d+")


GOES_ON = frozenset(("running", "restarting", "paused"))
"""States in which an engine has a container that serves now, or will again with the settings that it was given."""


@dataclass(frozen=True)
class Server:
    """A container that serves, or served, a revision."""

    container: Container

    @property
    def number(self) -> int:
        return int(self.container.labels[REVISION])

    @property
    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = self.container.attrs["State"]
        return state

    @property
    def runs(self) -> bool:
        return self.container.status == "running"

    @property
    def goes_on(self) -> bool:
        """Whether it runs, or will without anybody's starting it."""
        return self.container.status in GOES_ON

    @property
    def restarts(self) -> int:
        """How often the engine started it again."""
        return int(self.container.attrs.get("RestartCount") or 0)

    def started_after(self, other: Container) -> bool:
        """Whether the other one was there when it started, and so the network that it has is still that one's."""
        return _started(self.container) >= _started(other)

    @cached_property
    def report(self) -> Report | None:
        """What it tells of itself; None where it has told nothing since it was started."""
        content = self.read(f"{FOLDER}/{REPORT}")
        report = None if content is None else decode_report(content)
        return None if report is None or report.begun < self._begun_after else report

    @property
    def _begun_after(self) -> float:
        """When its process cannot have begun yet, in seconds since 1970: the one before, if any, had not ended."""
        ended = _moment(self.container, "FinishedAt").timestamp()
        return max(ended, _started(self.container).timestamp() - _START_S)

    @property
    def accepts(self) -> bool:
        """Whether it is the one that clients reach."""
        return self.runs and self.report is not None and self.report.accepts

    def read(self, path: str) -> bytes | None:
        """The content of a file in the container, whether it runs or not; None where there is none. Raises
        WebserviceException where the engine does not give it whole."""
        for left in reversed(range(_TRIES)):
            try:
                stream, _about = self.container.get_archive(path)
                return first_file(b"".join(stream))
            except NotFound:
                return None
            except APIError:  # it is being started or ended at this moment
                if not left:
                    raise
            except tarfile.ReadError as error:
                if not left:
                    raise WebserviceException(
                        f"The container engine does not give {path} of {self.container.name} whole: {error}.",
                        hint="Try it again; the engine's own log may say more.",
                    ) from error
            time.sleep(_PAUSE_S)
        return None

    def put(self, files: Iterable[File]) -> None:
        """Have these files in its own volume, as new ones: a server looks at their times."""
        self.container.put_archive(OWN, packed(files, written_at=time.time()))

    def put_model_data(self, files: Iterable[File]) -> None:
        """Have these files in the volume of what scripts collect."""
        self.container.put_archive(MODEL_DATA, packed(files))

    def put_shared(self, files: Iterable[File]) -> None:
        """Have these files in the volume of all servers of the service."""
        self.container.put_archive(SHARED, packed(files))

    def log(self, lines: int) -> str:
        """The last lines of what it printed. (Podman mixes up the parts of a line where it is asked for a last few.)"""
        printed: bytes = self.container.logs(stdout=True, stderr=True)
        return "".join(printed.decode("utf-8", errors="replace").splitlines(keepends=True)[-lines:])

    def failure(self) -> Failure:
        """Why it has ended, the last time or the time before."""
        written = self.read(f"{FOLDER}/{FAILURE}") or self.read(f"{FOLDER}/{EARLIER_FAILURE}")
        return failure_of(self.container.attrs, written=written, log=self.log(LAST_LINES))

    def end(self) -> None:
        """End it at once, so that no engine starts it again."""
        with contextlib.suppress(APIError):
            self.container.stop(timeout=0)
        self.container.reload()


class Parts:
    """Finds and makes them. APIError goes to whoever holds the client."""

    def __init__(self, client: docker.DockerClient, names: Names) -> None:
        self._client = client
        self.names = names

    def holder(self) -> Container | None:
        """The container that has the service's address."""
        return next((container for container in self._containers() if container.labels.get(ROLE) == HOLDER), None)

    def servers(self) -> list[Server]:
        """The newest first."""
        found = [container for container in self._containers() if container.labels.get(ROLE) == SERVER]
        return sorted(map(Server, found), key=lambda server: server.container.attrs["Created"], reverse=True)

    def server(self, number: int) -> Server | None:
        return next((server for server in self.servers() if server.number == number), None)

    def _containers(self) -> list[Container]:
        return self._client.containers.list(all=True, filters=self.names.filters, ignore_removed=True)

    def create(self, spec: ContainerSpec) -> Container:
        """Make the container, with its volumes and its network; it does not run yet."""
        for volume in spec.volumes:
            if volume == self.names.model_data:
                self._client.volumes.create(volume, labels=self.names.of_workspace)
                continue
            if volume.startswith("/"):  # a folder of the engine's machine
                continue
            self._client.volumes.create(volume, labels=self.names.labels)
        more: dict[str, Any] = {}
        if spec.network is not None:
            self._ensure_network(spec.network)
            endpoint = self._client.api.create_endpoint_config(aliases=[spec.alias or spec.name])
            more = {"networking_config": {spec.network: endpoint}}
        return self._client.containers.create(**creation(spec), **more, log_config=_LOGS)

    def _ensure_network(self, name: str) -> None:
        if not self._client.networks.list(names=[f"^{name}$"]):
            self._client.networks.create(name, labels=self.names.of_workspace)

    def remove(self, container: Container) -> None:
        """Remove it at once, with the volume that it alone has."""
        with contextlib.suppress(NotFound):
            container.remove(force=True, v=True)
        with contextlib.suppress(APIError):  # there is none, or it is not its own
            if container.name is not None and container.name != self.names.base:
                self._client.volumes.get(container.name).remove()

    def remove_all(self) -> None:
        """Remove everything of the service but its images."""
        for server in self.servers():
            self.remove(server.container)
        holder = self.holder()
        if holder is not None:
            self.remove(holder)
        for volume in self._client.volumes.list(filters=self.names.filters):
            with contextlib.suppress(NotFound):
                volume.remove(force=True)
        for network in self._client.networks.list(names=[f"^{self.names.network}$"]):
            with contextlib.suppress(APIError):  # another service is in it
                network.remove()


def _started(container: Container) -> dt.datetime:
    """When it was started last."""
    return _moment(container, "StartedAt")


def _moment(container: Container, which: str) -> dt.datetime:
    """One of its state's; in the year 1 where that has not come. Engines write nanoseconds, and Podman its own time
    zone."""
    return dt.datetime.fromisoformat(_FRACTION.sub(r"\1", container.attrs["State"][which]))
