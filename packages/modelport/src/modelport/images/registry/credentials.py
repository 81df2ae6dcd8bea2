"""Who asks a registry: what was given, else what Docker or Podman were told by ``login``.

Source of the formats: Docker's configuration file and its protocol of credential helpers; containers-auth.json(5).
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelport.domain.errors import UserErrorException
from modelport.images.image import Credentials
from modelport.images.registry.reference import HUB

_HUB_KEYS = ("https://index.docker.io/v1/", "index.docker.io", HUB)
_HUB_HOSTS = ("index.docker.io", "registry-1.docker.io", HUB)
_OF_TOKEN = "<token>"  # noqa: S105 - the user name by which a helper says that the secret is an identity token
_HELPER_ANSWERS_WITHIN_S = 30


@dataclass(frozen=True)
class Login:
    """User and password, or the identity token that ``login`` got for them."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)

    @property
    def basic(self) -> str:
        """The value of the header."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


def find_login(
    registry: str, given: Credentials | None = None, environ: Mapping[str, str] = os.environ
) -> Login | None:
    """Who asks that registry; None: nobody in particular.

    Raises UserErrorException for a configuration file that cannot be read and a helper that fails.
    """
    if given is not None and (given.registry is None or host_of(given.registry) == host_of(registry)):
        return Login(given.username, given.password)
    keys = _HUB_KEYS if host_of(registry) == HUB else (registry, f"https://{registry}", f"https://{registry}/v2/")
    for file in _files(environ):
        login = _in_file(file, keys)
        if login is not None:
            return login
    return None


def host_of(address: str) -> str:
    """Addresses of registries are also written as URLs, and Docker Hub has several."""
    host = (address.partition("://")[2] or address).partition("/")[0]
    return HUB if host in _HUB_HOSTS else host


def _files(environ: Mapping[str, str]) -> Iterator[Path]:
    home = Path(environ.get("HOME") or Path.home())
    if environ.get("REGISTRY_AUTH_FILE"):
        yield Path(environ["REGISTRY_AUTH_FILE"])
    yield Path(environ.get("DOCKER_CONFIG") or home / ".docker") / "config.json"
    if environ.get("XDG_RUNTIME_DIR"):
        yield Path(environ["XDG_RUNTIME_DIR"]) / "containers" / "auth.json"
    yield Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "containers" / "auth.json"


def _in_file(file: Path, keys: tuple[str, ...]) -> Login | None:
    try:
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise UserErrorException(
            f"{file}, which has the passwords of image registries, cannot be read: {error}.",
            hint="Log in again (docker login), or name another folder by DOCKER_CONFIG.",
        ) from error
    helper = next((content["credHelpers"][key] for key in keys if key in content.get("credHelpers", {})), None)
    helper = helper or content.get("credsStore")
    entries = content.get("auths", {})
    entry = next((entries[key] for key in keys if key in entries), None)
    if entry and (entry.get("auth") or entry.get("identitytoken")):
        return _of_entry(entry, file)
    if helper:
        return next((login for key in keys if (login := _ask_helper(helper, key)) is not None), None)
    return None


def _of_entry(entry: Mapping[str, Any], file: Path) -> Login:
    try:
        username, _, password = base64.b64decode(entry.get("auth", "")).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise UserErrorException(f"{file} has a password that cannot be decoded.", hint="Log in again.") from error
    return Login(username, password.rstrip("\0"), entry.get("identitytoken", ""))


def _ask_helper(helper: str, key: str) -> Login | None:
    program = f"docker-credential-{helper}"
    try:
        ended = subprocess.run(
            [program, "get"], input=key, capture_output=True, text=True, timeout=_HELPER_ANSWERS_WITHIN_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserErrorException(
            f"{program}, which has the passwords of image registries, does not answer: {error}.",
            hint="Install it, or take it out of Docker's config.json (credsStore, credHelpers).",
        ) from error
    if ended.returncode != 0:
        return None  # it knows nothing of this registry: it says so on its output, in words of its own
    answer = json.loads(ended.stdout)
    if answer.get("Username") == _OF_TOKEN:
        return Login(identity_token=answer["Secret"])
    return Login(answer.get("Username", ""), answer.get("Secret", ""))
