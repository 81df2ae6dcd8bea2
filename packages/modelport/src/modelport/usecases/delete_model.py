"""Delete a version of a model."""

from __future__ import annotations

from dataclasses import replace

from modelport.domain.errors import ConflictException
from modelport.domain.models import ModelVersion
from modelport.domain.services import Service, ServiceFilter
from modelport.usecases.context import Context
from modelport.usecases.exclusive import exclusive
from modelport.usecases.find_images import ImageFilter, find_images
from modelport.usecases.model_datasets import forget_dataset_references


def delete_model(context: Context, model: ModelVersion) -> None:
    """Delete the version and the files that no other version has.

    Earlier revisions that had it and were kept for a roll-back only are let go. Raises ConflictException, naming the
    services, while one serves it, and where one that kept it is being changed at this moment; or naming the images that
    have it.
    """
    images = [image.id for image in find_images(context, ImageFilter(model_id=model.id)) if image.content.built]
    if images:
        raise ConflictException(
            f"The model {model.id} is used by the images {', '.join(images)}.", hint="Delete them first."
        )
    for service in context.registry.services(ServiceFilter()):
        if model.id not in service.model_ids and _keeps(service, model):
            _let_go(context, service.name, model)
    deleted = context.registry.delete_model(model.name, model.version)
    forget_dataset_references(context.registry, deleted)
    digests = [file.sha256 for file in deleted.files]
    context.objects.remove_unreferenced(digests, context.registry.referenced_objects(digests))


def _keeps(service: Service, model: ModelVersion) -> bool:
    return any(model.id in revision.model_ids for revision in service.revisions)


def _let_go(context: Context, name: str, model: ModelVersion) -> None:
    with exclusive(context, name):
        service = context.service(name)
        if model.id in service.model_ids:
            return  # it was rolled back to meanwhile: the registry refuses the deletion
        kept = tuple(revision for revision in service.revisions if model.id not in revision.model_ids)
        context.registry.update_service(replace(service, revisions=kept))
    context.progress.step(f"{name!r} cannot be rolled back to {model.id} any more")
