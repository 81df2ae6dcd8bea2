"""Names of objects: DNS labels (RFC 1123), no two of them alike.

v1's names of services and versions are DNS labels already (azureml-v1 reference, 1.4), but ``aaa-bbb`` may be a
service, and the version ``bbb`` of ``aaa``: where free texts are joined, a digest of them is added.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

_LONGEST_LABEL = 63
_LONGEST_DERIVED = 46
"""Of a Deployment, so that the names of its pods, 17 characters longer, are labels too."""

_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")


def digest(*texts: str, length: int = 6) -> str:
    """Hexadecimal digits that tell these texts from others."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:length]


def label_value(text: str) -> str:
    """The text as the value of a label: itself where it can be one."""
    if _LABEL_VALUE.fullmatch(text):
        return text
    cleaned = re.sub(r"[^-A-Za-z0-9_.]", "-", text).strip("-_.")
    return f"{cleaned[: _LONGEST_LABEL - 7].rstrip('-_.')}-{digest(text)}".lstrip("-")


def namespace_of(workspace: str, workspace_id: str) -> str:
    """The namespace of a workspace. Two homes may have a workspace of one name each, and share a cluster."""
    stem = re.sub(r"[^a-z0-9]+", "-", workspace.lower()).strip("-")
    ending = digest(workspace_id, length=8)
    return f"modelport-{stem[: _LONGEST_LABEL - 19].rstrip('-')}-{ending}"


@dataclass(frozen=True, kw_only=True)
class Names:
    """What the objects of one service are called."""

    service: str
    workspace_id: str
    namespace: str
    is_shared: bool
    """Whether the namespace is not the workspace's own."""

    @property
    def base(self) -> str:
        """Of every object that a service has one of."""
        return f"{self.service}-{digest(self.workspace_id, self.service)}" if self.is_shared else self.service

    def version(self, version: str) -> str:
        """Of the Deployment and the Service of a version of an endpoint."""
        owner = self.workspace_id if self.is_shared else ""
        ending = digest(owner, self.service, version)
        stem = f"{self.service}-{version}"[: _LONGEST_DERIVED - len(ending) - 1].rstrip("-")
        return f"{stem}-{ending}"

    # Every Secret has an ending of its own, so that no service's Secret has the name of another's.

    def settings_secret(self, revision: int) -> str:
        """Of one revision: pods of the one before keep theirs while it rolls out."""
        return f"{self.base}-r{revision}"

    @property
    def tls_secret(self) -> str:
        return f"{self.base}-tls"

    @property
    def router_secret(self) -> str:
        return f"{self.base}-router"

    @property
    def model_data_claim(self) -> str:
        """The claim for what the workspace's services collect; it outlives them."""
        return f"modelport-modeldata-{digest(self.workspace_id)}" if self.is_shared else "modelport-modeldata"
