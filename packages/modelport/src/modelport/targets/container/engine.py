"""A container engine, by the API that Docker and Podman share, on this machine or elsewhere."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

import docker
import requests
from docker.errors import APIError, DockerException

from modelport.domain.errors import WebserviceException
from modelport.targets.container.addresses import host_of
from modelport.targets.container.refusals import advice
from modelport.targets.container.tunnel import Tunnel, machine_of

_OLDEST_API = "1.41"
"""Of Docker 20.10 and Podman 4. Which one is spoken, the engine says."""
_ANSWERS_WITHIN_S = 600
"""An image that is loaded may take so long; nothing else does."""
_CONNECTS_WITHIN_S = 10
_PORT, _TLS_PORT = 2375, 2376


class EngineGone(WebserviceException):
    """The engine does not answer."""


class Engine:
    """One engine. Connections are made when they are needed, and closed again; a tunnel stays for the next one."""

    def __init__(self, address: str, *, environ: Mapping[str, str] = os.environ) -> None:
        self.address = address
        self._environ = environ
        self._api_version: str | None = None
        self._tunnel: Tunnel | None = None
        self._lock = threading.Lock()

    @cached_property
    def host(self) -> str | None:
        """The name or address of its machine, for clients of what runs there; None where it is this one."""
        host = host_of(self.address)
        return machine_of(self.address) if host is not None and self._scheme == "ssh" else host

    @contextlib.contextmanager
    def connected(self) -> Iterator[docker.DockerClient]:
        """A client. What the engine refuses inside is WebserviceException; EngineGone, where it does not answer."""
        try:
            client = self._client(self._url())
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

    def _url(self) -> str:
        """Where to speak to it. Raises OSError where nobody listens there."""
        url = self.address
        if self._scheme == "ssh":
            with self._lock:
                if self._tunnel is None or not self._tunnel.is_open:
                    self._tunnel = Tunnel(self.address)
                url = f"unix://{self._tunnel.path}"
        _probe(url)
        return url

    @property
    def _scheme(self) -> str:
        return self.address.partition("://")[0]

    def _client(self, url: str) -> docker.DockerClient:
        if self._api_version is None:
            with contextlib.closing(self._client_of(url, _OLDEST_API)) as client:
                self._api_version = client.version(api_version=False)["ApiVersion"]
        return self._client_of(url, self._api_version)

    def _client_of(self, url: str, api_version: str) -> docker.DockerClient:
        """Asks nothing yet, so that whoever has it can close it, whatever happens."""
        has_tls = self._scheme == "https" or (self._scheme == "tcp" and bool(self._environ.get("DOCKER_TLS_VERIFY")))
        client = docker.DockerClient(
            base_url=url,
            version=api_version,
            timeout=_ANSWERS_WITHIN_S,
            tls=self._certificates() if has_tls else False,
        )
        # Proxies and REQUESTS_CA_BUNDLE are for the web: that one would stand before the engine's own authority.
        client.api.trust_env = False
        return client

    def _certificates(self) -> docker.tls.TLSConfig:
        """Raises OSError for the first file that is missing."""
        folder = Path(self._environ.get("DOCKER_CERT_PATH") or Path.home() / ".docker")
        authority, certificate, key = (folder / name for name in ("ca.pem", "cert.pem", "key.pem"))
        for file in (authority, certificate, key):
            if not file.is_file():
                raise FileNotFoundError(f"there is no {file}, a certificate that the connection needs")
        return docker.tls.TLSConfig(client_cert=(str(certificate), str(key)), ca_cert=str(authority), verify=True)

    def _gone(self, error: Exception) -> EngineGone:
        reason, hint = advice(error, self.address)
        return EngineGone(f"The container engine at {self.address} does not answer: {reason}.", hint=hint)


def _probe(url: str) -> None:
    """Raise OSError where nobody listens. (docker-py would leave its socket open then, and wait minutes for a machine
    that is not there.)"""
    if url.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as channel:
            channel.connect(url.removeprefix("unix://"))
        return
    parts = urlsplit(url)
    if parts.hostname is not None:
        port = parts.port or (_TLS_PORT if parts.scheme == "https" else _PORT)
        socket.create_connection((parts.hostname, port), timeout=_CONNECTS_WITHIN_S).close()
