"""Names of images in registries, as every engine writes them: ``host:5000/team/name:tag`` and ``…@sha256:…``.

Source of the rules: distribution's reference grammar; names without a host are Docker Hub's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from modelport.domain.errors import UserErrorException

HUB = "docker.io"
_HUB_HOST = "registry-1.docker.io"

_NAME = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"\w[\w.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LOOPBACK = re.compile(r"(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?")


@dataclass(frozen=True)
class Reference:
    """An image of a registry. Without a tag and a digest, ``latest``."""

    registry: str
    repository: str
    tag: str | None = None
    digest: str | None = None
    is_plain: bool | None = None
    """Spoken to without TLS; None: only where a registry of this machine has none."""

    @staticmethod
    def parse(text: str) -> Reference:
        """Raises UserErrorException for a name that no image can have."""
        rest, scheme = text, ""
        for known in ("http://", "https://"):
            if text.startswith(known):
                rest, scheme = text.removeprefix(known), known
        rest, _, digest = rest.partition("@")
        host, slash, path = rest.partition("/")
        if not slash or not ("." in host or ":" in host or host == "localhost" or scheme):
            host, path = HUB, rest
        path, colon, tag = path.partition(":")
        if host == HUB and "/" not in path:
            path = f"library/{path}"
        _check(text, path, tag if colon else "latest", digest)
        return Reference(host, path, tag or (None if digest else "latest"), digest or None, scheme == "http://" or None)

    @property
    def host(self) -> str:
        """Where the registry answers."""
        return _HUB_HOST if self.registry == HUB else self.registry

    @property
    def is_on_this_machine(self) -> bool:
        return _LOOPBACK.fullmatch(self.registry) is not None

    @property
    def version(self) -> str:
        """What a registry finds the manifest by: the digest, or the tag."""
        return self.digest or self.tag or "latest"

    def at(self, digest: str) -> Reference:
        """The same name, and exactly that manifest."""
        return replace(self, digest=digest)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.registry}/{self.repository}{tag}{digest}"


def _check(text: str, path: str, tag: str, digest: str) -> None:
    if _NAME.fullmatch(path) and _TAG.fullmatch(tag) and (not digest or _DIGEST.fullmatch(digest)):
        return
    raise UserErrorException(
        f"{text!r} is no name of an image.",
        hint="Write it as registry.example.com/team/name:tag; names are of lower-case letters, digits, '.', '_', '-'.",
    )
