"""Speaks with a registry: the OCI distribution specification, 1.1, by HTTP."""

from __future__ import annotations

import contextlib
import ssl
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urljoin

import httpx

from modelport.domain.errors import RegistryException
from modelport.images.image import Credentials
from modelport.images.manifests import INDEXES, MANIFESTS
from modelport.images.registry.auth import RegistryAuth
from modelport.images.registry.credentials import find_login
from modelport.images.registry.reference import Reference

ATTEMPTS = 5
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 30.0
_CERTIFICATES = Path("/etc/docker/certs.d")
"""Where Docker looks for the authorities of single registries."""

_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers that may be others the next time."""


class Interrupted(Exception):
    """The connection broke, or the registry said that it is busy: the same may work in a moment."""

    def __init__(self, text: str, *, after_s: float = 0) -> None:
        super().__init__(text)
        self.after_s = after_s
        """So long the registry wishes us to wait."""


class RegistryClient:
    """Asks one registry about one repository. Not for several threads."""

    def __init__(self, reference: Reference, *, actions: str, credentials: Credentials | None = None) -> None:
        """``actions``: ``pull``, or ``pull,push``."""
        self.reference = reference
        self._login = find_login(reference.registry, credentials)
        self.auth = RegistryAuth(self._login, f"repository:{reference.repository}:{actions}")
        timeout = httpx.Timeout(60.0, connect=15.0)
        context = _tls(reference)
        self._http = httpx.Client(auth=self.auth, timeout=timeout, verify=context, follow_redirects=True)
        self._root = f"{self._scheme()}://{reference.host}"

    def __enter__(self) -> RegistryClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def _scheme(self) -> str:
        """TLS, but for a registry of this machine that has none."""
        if self.reference.is_plain is not None:
            return "http" if self.reference.is_plain else "https"
        if not self.reference.is_on_this_machine:
            return "https"
        try:
            self._http.get(f"https://{self.reference.host}/v2/", auth=None)
        except httpx.TransportError as error:
            if "CERTIFICATE_VERIFY_FAILED" not in str(error):
                return "http"
        return "https"

    def url(self, path: str) -> str:
        """Of something in the repository."""
        return f"{self._root}/v2/{self.reference.repository}/{path}"

    def ask(
        self,
        method: str,
        url: str,
        *,
        expected: tuple[int, ...],
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        attempts: int = ATTEMPTS,
    ) -> httpx.Response:
        """One request, whose answer has one of the expected statuses; again for answers that pass.

        Raises RegistryException with what the registry said.
        """
        for attempt in range(1, attempts + 1):
            try:
                return self.once(method, url, expected, content, headers)
            except Interrupted as error:
                if attempt == attempts:
                    raise self.failure(method, url, str(error)) from error
                time.sleep(max(pause_s(attempt), error.after_s))
        raise AssertionError("there is at least one attempt")

    def once(
        self, method: str, url: str, expected: tuple[int, ...], content: bytes | None, headers: Mapping[str, str] | None
    ) -> httpx.Response:
        try:
            response = self._http.request(method, url, content=content, headers=headers)
        except httpx.TransportError as error:
            raise self._of_transport(error, method, url) from error
        if response.status_code in expected:
            return response
        if response.status_code in _PASSING:
            raise Interrupted(f"{response.status_code}, {said(response)}", after_s=_wished_s(response))
        raise self.refused(response)

    @contextlib.contextmanager
    def stream(self, url: str, *, start: int = 0) -> Iterator[httpx.Response]:
        """The answer to a GET, to be read piece by piece, from a byte on. Raises Interrupted and RegistryException."""
        headers = {"Range": f"bytes={start}-"} if start else {}
        try:
            with self._http.stream("GET", url, headers=headers) as response:
                if response.status_code in _PASSING:
                    raise Interrupted(str(response.status_code))
                if response.status_code not in (200, 206):
                    response.read()
                    raise self.refused(response)
                yield response
        except httpx.TransportError as error:
            raise self._of_transport(error, "GET", url) from error

    def manifest(self, version: str) -> httpx.Response:
        """The manifest or the index of a tag or a digest."""
        accept = ", ".join((*MANIFESTS, *INDEXES))
        return self.ask("GET", self.url(f"manifests/{version}"), expected=(200,), headers={"Accept": accept})

    def has_blob(self, digest: str) -> bool:
        return self.ask("HEAD", self.url(f"blobs/{digest}"), expected=(200, 404)).status_code == 200

    def location(self, response: httpx.Response) -> str:
        """Where to go on, as the answer says; some registries say it without their own name."""
        return urljoin(str(response.url), response.headers["Location"])

    def refused(self, response: httpx.Response) -> RegistryException:
        """What to tell of an answer that was not expected."""
        status, name = response.status_code, self.reference
        text = f"The registry {name.registry} answered {status} to {response.request.method} {response.url.path}"
        if status == 401:
            who = f"{self._login.username or 'a token'}" if self._login else "nobody: no login was found"
            return RegistryException(
                f"The registry {name.registry} does not let us at {name.repository} (401). We asked as {who}. "
                f"{said(response)}",
                hint=f"Log in (docker login {name.registry}), or give the credentials.",
            )
        if status == 403:
            return RegistryException(
                f"{text}: {said(response)}", hint=f"The login may not do that in {name.repository}: ask for the right."
            )
        if status == 404:
            return RegistryException(f"{name} is not there. {said(response)}", hint="Check the name and the tag.")
        if status == 413:
            hint = "A proxy before the registry bounds the size of requests (nginx: client_max_body_size)."
            return RegistryException(f"{text}: too large.", hint=hint)
        return RegistryException(f"{text}: {said(response)}", hint="Try again; the registry's own log may say more.")

    def failure(self, method: str, url: str, complaint: str) -> RegistryException:
        """What to tell where the same failed again and again."""
        return RegistryException(
            f"The registry {self.reference.registry} failed {ATTEMPTS} times to answer {method} "
            f"{httpx.URL(url).path}. The last time: {complaint}",
            hint="Try again: what has arrived is not sent a second time.",
        )

    def _of_transport(self, error: httpx.TransportError, method: str, url: str) -> Exception:
        text = str(error) or type(error).__name__
        if "CERTIFICATE_VERIFY_FAILED" in text:
            return RegistryException(
                f"The certificate of the registry {self.reference.registry} is not trusted: {text}",
                hint="Name its authority by SSL_CERT_FILE, or put it into "
                f"{_CERTIFICATES}/{self.reference.registry}/ca.crt.",
            )
        if isinstance(error, httpx.ConnectError) and self._is_unknown(text):
            return RegistryException(
                f"The registry {self.reference.registry} cannot be found: {text}",
                hint="Check the name; a name without a registry is one of Docker Hub.",
            )
        return Interrupted(f"{text} ({method} {httpx.URL(url).host})")

    @staticmethod
    def _is_unknown(text: str) -> bool:
        return any(words in text for words in ("Name or service not known", "No address", "nodename nor servname"))


def said(response: httpx.Response) -> str:
    """What the registry wrote of its reasons."""
    try:
        errors: list[dict[str, Any]] = response.json()["errors"]
        return "; ".join(f"{each.get('code', '')}: {each.get('message', '')}".strip(": ") for each in errors)
    except (ValueError, KeyError, TypeError, AttributeError, httpx.ResponseNotRead):
        return response.text[:200].strip() or "it said no more"


def _wished_s(response: httpx.Response) -> float:
    wish = response.headers.get("Retry-After", "")
    return min(float(wish), _LONGEST_PAUSE_S) if wish.isdecimal() else 0.0


def pause_s(attempt: int) -> float:
    """How long to wait after so many failures."""
    return min(_FIRST_PAUSE_S * 4.0 ** (attempt - 1), _LONGEST_PAUSE_S)


def _tls(reference: Reference) -> ssl.SSLContext:
    """The system's authorities (or SSL_CERT_FILE's), and those that Docker was given for the registry."""
    context = ssl.create_default_context()
    for file in sorted((_CERTIFICATES / reference.registry).glob("*.crt")):
        context.load_verify_locations(cafile=file)
    return context
