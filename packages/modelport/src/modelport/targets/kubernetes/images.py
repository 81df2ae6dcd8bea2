"""What the target needs of whoever makes images."""

from __future__ import annotations

from typing import Protocol

from modelport.domain.services import Service
from modelport.targets.kubernetes.settings import ServingImage


class Images(Protocol):
    """Makes images where there are none yet, and has the cluster find them."""

    def check(self, name: str) -> None:
        """Raise UserErrorException where it is known already that no image of the service can be had."""

    def image(self, service: Service, number: int, *, starts: bool = False) -> ServingImage:
        """The image of the service's revision; where the service ``starts``, one as this Modelport makes it. Raises
        ModelportError where it cannot be made, or pushed."""
