"""``modelport package``: models, script and environment as a folder that builds an image, or as the image."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from modelport.cli.command import command, group
from modelport.cli.inference import InferenceFlags
from modelport.cli.model_choice import ModelChoice
from modelport.cli.output import Result
from modelport.cli.session import Session
from modelport.sdk.model import Model

app = group("Package models as a folder that builds an image anywhere.")


def add_to(models: typer.Typer) -> None:
    """Add the command to the group of models, where v1 had it."""
    command(models, "package")(package)


@command(app, "package")
def package(
    session: Session,
    models: ModelChoice,
    inference: InferenceFlags,
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

    With --output-path the folder holds everything that `docker build` needs. Without it, the container engine of this
    machine (Docker or Podman) builds the image.
    """
    made = Model.package(
        session.workspace,
        models.ids(),
        inference.required_configuration(session),
        generate_dockerfile=output_path is not None,
        image_name=image_name,
        image_label=image_label,
    )
    if output_path is None:
        return Result(made.serialize())
    made.save(output_path)
    made.delete()  # the folder is what was asked for
    session.note(f"Build the image: docker build -t {made.name} {output_path}")
    return Result({**made.serialize(), "location": str(output_path.absolute())})
