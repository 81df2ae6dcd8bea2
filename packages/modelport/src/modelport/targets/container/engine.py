"""A container engine, by the API that Docker and Podman share, on this machine or elsewhere."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

import docker
import requests
from docker.errors import APIError, DockerException

from modelport.domain.errors import WebserviceException
from modelport.targets.container.addresses import ENGINE_VARIABLE, host_of

_OLDEST_API = "1.41"
"""Of Docker 20.10 and Podman 4. Which one is spoken, the engine says."""
_ANSWERS_WITHIN_S = 600
"""An image that is loaded may take so long; nothing else does."""


class EngineGone(WebserviceException):
    """The engine does not answer."""


class Engine:
    """One engine. Connections are made when they are needed, and closed again."""

    def __init__(self, address: str, *, environ: Mapping[str, str] = os.environ) -> None:
        self.address = address
        self._environ = environ
        self._api_version: str | None = None

    @property
    def host(self) -> str | None:
        """The name or address of its machine; None where it is this one."""
        return host_of(self.address)

    @contextlib.contextmanager
    def connected(self) -> Iterator[docker.DockerClient]:
        """A client. What the engine refuses inside is WebserviceException; EngineGone, where it does not answer."""
        try:
            client = self._client()
        except (DockerException, requests.exceptions.RequestException, OSError) as error:
            raise self._gone(error) from error
        try:
            yield client
        except APIError as error:
            raise WebserviceException(
                f"The container engine at {self.address} refused: {error.explanation or error}."
            ) from error
        except (DockerException, requests.exceptions.RequestException) as error:
            raise self._gone(error) from error
        finally:
            client.close()

    def _client(self) -> docker.DockerClient:
        if self._api_version is None:
            with contextlib.closing(self._client_of(_OLDEST_API)) as client:
                self._api_version = client.version(api_version=False)["ApiVersion"]
        return self._client_of(self._api_version)

    def _client_of(self, api_version: str) -> docker.DockerClient:
        """Asks nothing yet, so that whoever has it can close it, whatever happens."""
        if self.address.startswith("unix://"):
            _probe(self.address.removeprefix("unix://"))
        has_tls = self.address.startswith("tcp://") and bool(self._environ.get("DOCKER_TLS_VERIFY"))
        return docker.DockerClient(
            base_url=self.address,
            version=api_version,
            timeout=_ANSWERS_WITHIN_S,
            tls=self._certificates() if has_tls else False,
            use_ssh_client=self.address.startswith("ssh://"),
        )

    def _certificates(self) -> docker.tls.TLSConfig:
        folder = Path(self._environ.get("DOCKER_CERT_PATH") or Path.home() / ".docker")
        return docker.tls.TLSConfig(
            client_cert=(str(folder / "cert.pem"), str(folder / "key.pem")),
            ca_cert=str(folder / "ca.pem"),
            verify=True,
        )

    def _gone(self, error: Exception) -> EngineGone:
        return EngineGone(
            f"The container engine at {self.address} does not answer: {_reason(error)}.",
            hint=f"Start it (systemctl start docker, systemctl start podman.socket), see that {_who()} may use it, or "
            f"name another one in {ENGINE_VARIABLE}. Container instances run as processes with MODELPORT_ACI=process.",
        )


def _probe(path: str) -> None:
    """Raise OSError where nobody listens. (docker-py would leave its socket open then.)"""
    with socket.socket(socket.AF_UNIX) as channel:
        channel.connect(path)


def _reason(error: BaseException) -> str:
    """The innermost one: what docker-py puts around it is long and says little."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return str(getattr(error, "strerror", None) or error).rstrip(".") or type(error).__name__


def _who() -> str:
    return os.environ.get("USER") or f"user {os.getuid()}"
