"""Find registered models."""

from __future__ import annotations

from modelport.domain.errors import ModelNotFoundException
from modelport.domain.models import ModelFilter, ModelVersion
from modelport.domain.names import split_model_id
from modelport.usecases.context import Context


def find_model(context: Context, wanted: ModelFilter) -> ModelVersion:
    """The newest version that fits. Raises ModelNotFoundException, saying what there is under that name."""
    found = context.registry.models(wanted)
    if found:
        return max(found, key=lambda model: model.version)
    raise ModelNotFoundException(
        f"ModelNotFound: the workspace {context.record.name!r} has no model {_describe(wanted)}.",
        hint=_what_there_is(context, wanted.name),
    )


def find_model_by_id(context: Context, model_id: str) -> ModelVersion:
    """The version with the id ``name:version``, or the newest where only a name is given."""
    if ":" not in model_id:
        return find_model(context, ModelFilter(name=model_id))
    name, version = split_model_id(model_id)
    return find_model(context, ModelFilter(name=name, version=version))


def _describe(wanted: ModelFilter) -> str:
    text = f"named {wanted.name!r}"
    if wanted.version is not None:
        text += f" with version {wanted.version}"
    others = {
        "tags": wanted.tags,
        "properties": wanted.properties,
        "run id": wanted.run_id,
        "framework": wanted.framework,
    }
    return text + "".join(f", {label} {value!r}" for label, value in others.items() if value)


def _what_there_is(context: Context, name: str | None) -> str:
    versions = context.registry.models(ModelFilter(name=name)) if name else []
    if versions:
        numbers = ", ".join(str(model.version) for model in versions[:20])
        return f"{name!r} has the versions {numbers}."
    names = sorted({model.name for model in context.registry.models(ModelFilter(latest=True))})
    return f"It has: {', '.join(names[:20])}." if names else "It has no models yet: register one first."
