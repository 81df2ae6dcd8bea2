"""What the parts of a service are called in an engine, and by what they are found there."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from modelport.domain.errors import WebserviceException

PREFIX = "modelport"

WORKSPACE = "modelport.dev/workspace"
WORKSPACE_ID = "modelport.dev/workspace-id"
SERVICE = "modelport.dev/service"
ROLE = "modelport.dev/role"
REVISION = "modelport.dev/revision"
BUNDLE = "modelport.dev/bundle"

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")

HOLDER = "network"
"""The role of the container that has the service's address."""
SERVER = "server"


@dataclass(frozen=True)
class Names:
    """Of one service. Two workspaces of one name, of two machines that share an engine, do not meet."""

    workspace: str
    workspace_id: str
    service: str

    @property
    def base(self) -> str:
        """Begins every name; the service's shared volume has it."""
        return f"{PREFIX}-{self.workspace}-{self.service}-{self._mark}"

    @property
    def _mark(self) -> str:
        return hashlib.sha256(self.workspace_id.encode()).hexdigest()[:6]

    @property
    def holder(self) -> str:
        return f"{self.base}-{HOLDER}"

    def server(self, number: int) -> str:
        """The container of a revision; its own volume too."""
        return f"{self.base}-{number}"

    @property
    def network(self) -> str:
        """In which services of the workspace reach each other by their DNS labels."""
        return f"{PREFIX}-{self.workspace}-{self._mark}"

    @property
    def model_data(self) -> str:
        """The volume of what the workspace's services collect; it outlives them."""
        return f"{self.network}-modeldata"

    @property
    def images(self) -> str:
        """The repository of the service's images. ``localhost`` is no registry: engines do not go looking."""
        return f"localhost/{PREFIX}/{self.workspace}-{self.service}-{self._mark}".lower()

    def image(self, digest: str) -> str:
        """The image whose configuration has that digest."""
        return f"{self.images}:{digest.removeprefix('sha256:')[:16]}"

    @property
    def of_workspace(self) -> dict[str, str]:
        """Labels of what the services of the workspace share."""
        return {WORKSPACE: self.workspace, WORKSPACE_ID: self.workspace_id}

    @property
    def labels(self) -> dict[str, str]:
        """Of everything that is the service's, and goes with it."""
        return {**self.of_workspace, SERVICE: self.service}

    @property
    def filters(self) -> dict[str, str | list[str] | bool]:
        """What an engine is asked with for all of that."""
        return {"label": [f"{WORKSPACE_ID}={self.workspace_id}", f"{SERVICE}={self.service}"]}


def check_label(label: str | None) -> None:
    """Raise WebserviceException for a DNS label that nobody could ask for (RFC 1123; v1's cloud had the same rule)."""
    if label is not None and not _LABEL.fullmatch(label):
        raise WebserviceException(
            f"The DNS label {label!r} cannot be one: it has 1 to 63 lower-case letters, digits and '-', and begins and "
            "ends with a letter or a digit.",
            hint="Give another dns_name_label, or none: it is a name among the workspace's containers only.",
        )
