"""A container engine, by the API that Docker and Podman share, on this machine or elsewhere."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import docker
import requests
from docker.errors import APIError, DockerException

from modelport.domain.errors import WebserviceException
from modelport.targets.container.addresses import ENGINE_VARIABLE, host_of

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
        client = None
        try:
            client = self._client()
            yield client
        except APIError as error:
            raise WebserviceException(
                f"The container engine at {self.address} refused: {error.explanation or error}."
            ) from error
        except (DockerException, requests.exceptions.RequestException, OSError) as error:
            raise self._gone(error) from error
        finally:
            if client is not None:
                client.close()

    def _client(self) -> docker.DockerClient:
        tls = None
        if self.address.startswith("tcp://") and self._environ.get("DOCKER_TLS_VERIFY"):
            tls = self._certificates()
        client = docker.DockerClient(
            base_url=self.address,
            version=self._api_version or "auto",
            timeout=_ANSWERS_WITHIN_S,
            tls=tls or False,
            use_ssh_client=self.address.startswith("ssh://"),
        )
        self._api_version = client.api.api_version
        return client

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


def _reason(error: BaseException) -> str:
    """The innermost one: what docker-py puts around it is long and says little."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return str(getattr(error, "strerror", None) or error).rstrip(".") or type(error).__name__


def _who() -> str:
    return os.environ.get("USER") or f"user {os.getuid()}"
