"""``modelport package``: models, script and environment as an image, or as a folder that builds one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from modelport.cli.command import command, group
from modelport.cli.inference import InferenceFlags
from modelport.cli.model_choice import ModelChoice
from modelport.cli.output import Result
from modelport.cli.session import Session
from modelport.domain.errors import UserErrorException
from modelport.images import Platform
from modelport.packages import find_engine
from modelport.sdk.packages import ModelPackage, package_with
from modelport.usecases.package_models import ImageChoice

app = group("Package models as an image, or as a folder that builds one anywhere.")

_ARCHIVE = ".tar"
_IMAGE = "Image"


def add_to(models: typer.Typer) -> None:
    """Add the command to the group of models, where v1 had it."""
    command(models, "package")(package)


@dataclass(frozen=True, kw_only=True)
class ImageFlags:
    """What image is made, and where it goes."""

    image_output: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Write the image: a folder becomes an OCI layout, a file .tar an archive for `docker load`.",
            rich_help_panel=_IMAGE,
        ),
    ] = None
    push: Annotated[
        str | None, typer.Option(metavar="REFERENCE", help="Push the image to its registry.", rich_help_panel=_IMAGE)
    ] = None
    platform: Annotated[
        list[str] | None,
        typer.Option(
            help="linux/amd64 or linux/arm64; again for an image of both. This machine's without.",
            rich_help_panel=_IMAGE,
        ),
    ] = None
    base: Annotated[
        str | None,
        typer.Option(
            help="What the image stands on: a reference, the path of an OCI layout or of an archive, engine:NAME.",
            rich_help_panel=_IMAGE,
        ),
    ] = None
    pythons: Annotated[
        str | None,
        typer.Option(
            help="Where a Python comes from that the base lacks: as --base, or a folder with an installed Python.",
            rich_help_panel=_IMAGE,
        ),
    ] = None

    @property
    def is_asked_for(self) -> bool:
        return any([self.image_output, self.push, self.platform, self.base, self.pythons])

    def choice(self) -> ImageChoice:
        """Raises UserErrorException for a platform that images cannot be made for, and for several of them where an
        archive is to hold the image."""
        asked = tuple(dict.fromkeys(map(Platform.parse, self.platform or ())))
        if len(asked) > 1 and self.image_output is not None and self.image_output.suffix == _ARCHIVE:
            raise UserErrorException(
                f"An archive for docker load holds the image for one platform, and {len(asked)} are asked for: "
                f"{', '.join(map(str, asked))}.",
                hint="Write a folder with all of them (--image-output without .tar), or one archive for each platform.",
            )
        return ImageChoice(base=self.base, pythons=self.pythons, platforms=asked or (Platform.of_this_machine(),))


@command(app, "package")
def package(
    session: Session,
    models: ModelChoice,
    inference: InferenceFlags,
    image: ImageFlags,
    output_path: Annotated[
        Path | None,
        typer.Option("--output-path", metavar="FOLDER", help="Write a folder that builds the image, and no image."),
    ] = None,
    image_name: Annotated[str | None, typer.Option("--image-name", "--in", help="Name of the image.")] = None,
    image_label: Annotated[str | None, typer.Option("--image-label", "--il", help="Its label; latest without.")] = None,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Accepted as in v1: the command returns when the package is there.")
    ] = False,
) -> object:
    """Package models with their script and locked environment.

    The image is made without a container engine, and written (--image-output) or pushed (--push). Without these, it is
    given to the engine of this machine (Docker or Podman), where one answers, and kept in the workspace. With
    --output-path a folder is made instead that holds everything that `docker build` needs.
    """
    if output_path is not None and image.is_asked_for:
        raise UserErrorException(
            "--output-path makes a folder that builds an image, and no image: --image-output, --push, --platform, "
            "--base and --pythons have no meaning with it.",
            hint="Leave --output-path out to have the image made.",
        )
    choice = image.choice() if output_path is None else None
    made = package_with(
        session.workspace,
        models.ids(),
        inference.configuration(session),
        choice,
        name=image_name,
        label=image_label,
    )
    if output_path is None:
        assert choice is not None
        return Result({**made.serialize(), **_given_away(session, made, choice, image.image_output, image.push)})
    made.save(output_path)
    made.delete()  # the folder is what was asked for
    session.note(f"Build the image: docker build -t {made.name} {output_path}")
    return Result({**made.serialize(), "location": str(output_path.absolute())})


def _given_away(
    session: Session, made: ModelPackage, choice: ImageChoice, output: Path | None, push: str | None
) -> dict[str, object]:
    """Write and push what was asked for; without that, give it to the engine."""
    result: dict[str, object] = {}
    platform = str(choice.platforms[0]) if len(choice.platforms) == 1 else None  # of several, that of this machine
    if output is not None and output.suffix == _ARCHIVE:
        made.save_archive(output, platform)
        session.note(f"Give it to an engine: docker load --input {output}")
    elif output is not None:
        made.save(output)
    if output is not None:
        result["location"] = str(output.absolute())
    if push is not None:
        result["location"] = result["pushed"] = made.push(push)
    if result:
        made.delete()  # it is where it was asked to be
    elif find_engine() is not None:
        made.pull(platform)
    else:
        session.note(
            f"No container engine answers on this machine. The image is an OCI layout in {made.folder}: "
            "--image-output and --push take it elsewhere."
        )
    return result
