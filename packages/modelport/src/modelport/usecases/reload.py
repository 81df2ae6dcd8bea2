"""Ship the source of a service again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from modelport.domain.environments import EnvironmentDefinition
from modelport.domain.errors import EnvironmentException, WebserviceException
from modelport.domain.models import ModelVersion
from modelport.domain.names import split_model_id
from modelport.domain.services import Revision, Service
from modelport.usecases.context import Context
from modelport.usecases.exclusive import exclusive
from modelport.usecases.find_images import ImageFilter, find_image
from modelport.usecases.find_models import find_model_by_id
from modelport.usecases.no_code.generate import no_code_revision
from modelport.usecases.prepare_revision import SYSTEM, ImageRevision, RevisionRequest, RevisionSource
from modelport.usecases.switch_revision import switch_to_new
from modelport.usecases.validate_inference import validate_inference


def reload(context: Context, name: str) -> Service:
    """Ship the source again, with the same models and the same environment, and switch to it.

    Raises WebserviceException where the source is no longer where it was.
    """
    with exclusive(context, name):
        service = context.service(name)
        request = revision_again(context, service.active)
        return switch_to_new(context, service, request)


def revision_again(
    context: Context, revision: Revision, *, models: Sequence[ModelVersion] | None = None
) -> RevisionRequest:
    """What would make the revision anew from its source; with other models, where they are given.

    Code that was generated for a model is generated anew for another one. Raises WebserviceException for a revision
    that runs an image, which does not change, and where the source is gone.
    """
    if revision.image_id is not None:
        raise WebserviceException(
            f"The service runs the image {revision.image_id}, and an image never changes.",
            hint="Create the image again, which makes its next version, and update the service with image=.",
        )
    was = revision.inference
    if was.generated_for and models is not None:
        return no_code_revision(context, models)
    environment = environment_of(context, revision)
    checked = validate_inference(
        was.entry_script,
        was.source_directory,
        description=was.description,
        environment=environment,
        companions={name: Path(path) for name, path in was.companions.items()},
    )
    return RevisionRequest(
        models=models_of(context, revision) if models is None else models,
        inference=replace(checked, generated_for=was.generated_for, batches=was.batches),
        environment=environment,
    )


def source_again(context: Context, revision: Revision) -> RevisionSource:
    """What makes the revision once more: its image, or its source as it is now. Raises as ``revision_again``, and where
    the image is gone."""
    if revision.image_id is None:
        return revision_again(context, revision)
    name, version = split_model_id(revision.image_id)
    image = find_image(context, ImageFilter(name=name, version=version))
    return ImageRevision(image=image, models=models_of(context, revision))


def models_of(context: Context, revision: Revision) -> list[ModelVersion]:
    """The revision's models. Raises ModelNotFoundException where one was deleted."""
    return [find_model_by_id(context, model_id) for model_id in revision.model_ids]


def environment_of(context: Context, revision: Revision) -> EnvironmentDefinition | None:
    """The environment that the revision was made for; None for the deploying program's own interpreter.

    Raises EnvironmentException where it is not in the workspace any more.
    """
    if revision.environment_name == SYSTEM:
        return None
    for known in context.registry.environments(revision.environment_name):
        if known.version == revision.environment_version:
            return known.definition
    raise EnvironmentException(
        f"The environment {revision.environment_name}:{revision.environment_version} is not in the workspace any more."
    )
