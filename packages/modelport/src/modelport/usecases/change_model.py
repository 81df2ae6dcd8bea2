"""Change what may change of a registered model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from modelport.domain.errors import WebserviceException
from modelport.domain.models import ModelChange, ModelFilter, ModelVersion
from modelport.usecases.context import Context
from modelport.usecases.find_models import find_model


def change_tags_and_properties(
    context: Context,
    model: ModelVersion,
    *,
    add_tags: Mapping[str, str] | None = None,
    remove_tags: Iterable[str] = (),
    add_properties: Mapping[str, str] | None = None,
) -> ModelVersion:
    """Add and remove tags, add properties.

    Raises WebserviceException where a property would get another value: properties never change, new ones may come.
    """
    now = find_model(context, ModelFilter(name=model.name, version=model.version))
    properties = merged_properties(now.properties, add_properties or {})
    tags = {key: value for key, value in now.tags.items() if key not in set(remove_tags)} | dict(add_tags or {})
    return context.registry.change_model(model.name, model.version, ModelChange(tags=tags, properties=properties))


def merged_properties(present: Mapping[str, str], added: Mapping[str, str]) -> dict[str, str]:
    """Both together. Raises WebserviceException where a key is there with another value."""
    for key, value in added.items():
        if key in present and present[key] != value:
            raise WebserviceException(
                f"The property {key!r} is {present[key]!r} and cannot become {value!r}: properties never change.",
                hint="Use a tag for what changes.",
            )
    return {**present, **added}
