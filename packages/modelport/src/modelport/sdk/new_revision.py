"""What a service is to run from now on, as the arguments of ``update`` say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from modelport.domain.errors import UserErrorException, WebserviceException
from modelport.domain.models import ModelVersion
from modelport.domain.services import Revision
from modelport.sdk.image_configuration import ImageConfiguration
from modelport.sdk.image_revision import revision_from_image
from modelport.sdk.inference import InferenceConfig
from modelport.sdk.kinds import check_kind
from modelport.usecases.context import Context
from modelport.usecases.find_models import find_model_by_id
from modelport.usecases.no_code.generate import no_code_revision
from modelport.usecases.prepare_revision import RevisionRequest, RevisionSource
from modelport.usecases.reload import models_of, revision_again

if TYPE_CHECKING:
    from modelport.sdk.images import Image
    from modelport.sdk.model import Model


def first_revision(
    context: Context, models: Sequence[Model | str], inference: InferenceConfig | None
) -> RevisionRequest:
    """The revision of models with an entry script; without, one generated for the model (reference, 2.2.1). Raises
    ModelNotFoundException, and what ``validate_configuration`` and ``no_code_revision`` do."""
    if inference is None:
        return no_code_revision(context, _found(context, models))
    revision = packaged_revision(context, models, inference)
    for ignored in inference.without_effect():
        context.progress.step(f"Not used on this machine, where services run without an image: {ignored}")
    return revision


def packaged_revision(
    context: Context, models: Sequence[Model | str], inference: InferenceConfig | None
) -> RevisionRequest:
    """The same, to be packaged: what is for images has its effect. Raises as ``first_revision``."""
    if inference is None:
        return no_code_revision(context, _found(context, models))
    _check_inference(inference)
    return RevisionRequest(
        models=_found(context, models),
        inference=inference.validate_configuration(),
        environment=inference.environment_definition(),
    )


def new_revision(
    context: Context,
    present: Revision,
    models: Sequence[Model | str] | None,
    inference: InferenceConfig | ImageConfiguration | None,
    image: Image | None = None,
) -> RevisionSource | None:
    """The revision that comes after the present one: the image; or with its models or its code, where none are given.
    None where nothing is given. Raises ModelNotFoundException, and what ``validate_configuration`` does;
    WebserviceException for an image that was not created, or that comes with models or code."""
    if image is not None:
        if models is not None or inference is not None:
            raise WebserviceException("image excludes models and inference_config: it has its own.")
        return revision_from_image(image)
    if models is None and inference is None:
        return None
    found = None if models is None else _found(context, models)
    if inference is None:
        return revision_again(context, present, models=found)
    _check_inference(inference)
    return RevisionRequest(
        models=models_of(context, present) if found is None else found,
        inference=inference.validate_configuration(),
        environment=inference.environment_definition(),
    )


def ids_of(models: Sequence[Model | str]) -> list[str]:
    """The id of each model, whether it is given as an object or as an id. Raises UserErrorException where that is no
    list: a text would be taken letter by letter."""
    if isinstance(models, str) or not isinstance(models, Iterable):
        raise UserErrorException(
            f"models must be a list of models or of their ids; it is {models!r}.",
            hint="Put it into a list: [model], or ['name:1'].",
        )
    return [_id_of(model) for model in models]


def _id_of(model: Model | str) -> str:
    if isinstance(model, str):
        return model
    if not hasattr(model, "id"):
        raise UserErrorException(f"{model!r} is neither a model nor the id of one.", hint="An id is 'name:1'.")
    return model.id


def _check_inference(inference: InferenceConfig | ImageConfiguration) -> None:
    hint = "Make one with InferenceConfig(entry_script='score.py', environment=environment)."
    check_kind(inference, InferenceConfig, ImageConfiguration, what="inference_config", hint=hint)


def _found(context: Context, models: Sequence[Model | str]) -> list[ModelVersion]:
    return [find_model_by_id(context, model_id) for model_id in ids_of(models)]
