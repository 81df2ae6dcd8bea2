"""Images of a workspace's revisions in a registry that a cluster pulls from: each made and pushed once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from modelport.domain.errors import UserErrorException
from modelport.domain.progress import Progress
from modelport.domain.services import Service
from modelport.images import ImageSettings, build_image, push
from modelport.targets.kubernetes.settings import ServingImage
from modelport.usecases.image_records import ImageRecords


@dataclass(frozen=True, kw_only=True)
class PublishedImages:
    """Where images of bundles are made, and where they are pushed to."""

    workspace: str
    registry: str | None
    """An address and maybe a prefix, such as ``registry.example:5000/team``; None: nobody named one."""
    compute: str | None
    bundles: Path
    cache: Path
    """Of layers, for all workspaces."""
    records: Path
    """What was pushed, so that a change of settings asks no registry."""
    progress: Progress

    def check(self, name: str) -> None:
        """Raise UserErrorException where no registry is named."""
        _ = self._to(name)

    def image(self, service: Service, number: int, *, starts: bool = False) -> ServingImage:
        """The image of the revision, with the digest by which the cluster pulls it.

        Raises UserErrorException where no registry is named; what ``build_image`` and ``push`` raise.
        """
        registry = self._to(service.name)
        bundle = service.revision(number).bundle_digest.removeprefix("sha256:")
        return ImageRecords(self.records).image(
            f"{service.name}-{bundle}",
            lambda: self._publish(service, number, registry),
            brought_to=registry,
            starts=starts,
            progress=self.progress,
        )

    def _to(self, name: str) -> str:
        if self.registry is None:
            raise UserErrorException(
                f"The cluster needs a registry from which it pulls the image of {name!r}, and the compute target "
                f"{self.compute!r} names none.",
                hint="Attach it again with registry=… (--registry), or set MODELPORT_IMAGE_REGISTRY: an address and a "
                "prefix, such as registry.example:5000/models.",
            )
        return self.registry

    def _publish(self, service: Service, number: int, registry: str) -> ServingImage:
        revision = service.revision(number)
        # The variables are in service.json, in a Secret: whoever may pull the image need not read them.
        settings = ImageSettings(name=service.name, workspace=self.workspace, has_variables=False)
        bundle = self.bundles / revision.bundle_digest
        built = build_image(bundle, settings=settings, cache=self.cache, progress=self.progress)
        tag = built.digest.removeprefix("sha256:")[:12]
        name = f"{registry.rstrip('/')}/{_repository(self.workspace)}/{service.name}:{tag}"
        reference = push(built, name, progress=self.progress)
        return ServingImage(
            reference=reference,
            interpreter=built.interpreter,
            keeps_python_path=built.keeps_python_path,
        )


def _repository(workspace: str) -> str:
    """A part of a repository's name: small letters, digits, and single separators."""
    return "-".join("".join(char if char.isalnum() else " " for char in workspace.lower()).split()) or "workspace"
