"""What a deployment would use, as text (azureml-v1 reference, 2.2: ``print_configuration``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelport.sdk.inference import InferenceConfig


def configuration_lines(
    models: Sequence[str],
    inference_config: InferenceConfig | None,
    deployment_config: object,
    deployment_target: object,
) -> Iterator[str]:
    """A heading and a line for each thing that is said; keys and what was left out are not shown."""
    yield "Models:"
    yield from (f"  {model}" for model in models)
    yield "Inference configuration:"
    yield from _lines(_of_inference(inference_config))
    yield "Deployment configuration:"
    yield from _lines(_of_deployment(deployment_config))
    yield f"Deployment target: {getattr(deployment_target, 'name', None) or 'this machine'}"


def _lines(said: Mapping[str, Any]) -> list[str]:
    lines = [f"  {name}: {value}" for name, value in said.items() if value is not None]
    return lines or ["  none"]


def _of_inference(config: InferenceConfig | None) -> dict[str, Any]:
    if config is None:
        return {}
    said = dict(vars(config))
    environment = said.pop("environment")
    if environment is not None:
        said["environment"] = environment.name + (f":{environment.version}" if environment.version else "")
    return {name: value for name, value in said.items() if not name.startswith("_")}


def _of_deployment(config: object) -> dict[str, Any]:
    if config is None:
        return {}
    said = {"kind": type(config).__name__}
    if is_dataclass(config):
        return said | {field.name: getattr(config, field.name) for field in fields(config) if field.repr}
    return said | {name: value for name, value in vars(config).items() if "key" not in name}
