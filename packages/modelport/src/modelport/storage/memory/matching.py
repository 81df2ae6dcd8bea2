"""Which models and services a filter means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from modelport.domain.models import Condition, ModelFilter, ModelVersion
from modelport.domain.names import split_model_id
from modelport.domain.services import Service, ServiceFilter


def model_fits(model: ModelVersion, wanted: ModelFilter) -> bool:
    plain = ("name", "version", "run_id", "framework")
    return (
        all(getattr(wanted, field) in (None, getattr(model, field)) for field in plain)
        and _labels_fit(model.tags, wanted.tags)
        and _labels_fit(model.properties, wanted.properties)
    )


def service_fits(service: Service, wanted: ServiceFilter) -> bool:
    models = [split_model_id(model_id) for model_id in service.model_ids]
    return (
        (wanted.compute_type is None or wanted.compute_type.upper() == service.compute_type.upper())
        and (wanted.model_name is None or wanted.model_name in [name for name, _ in models])
        and (wanted.model_id is None or split_model_id(wanted.model_id) in models)
        and _labels_fit(service.tags, wanted.tags)
        and _labels_fit(service.properties, wanted.properties)
    )


def _labels_fit(labels: Mapping[str, str], conditions: Sequence[Condition]) -> bool:
    return all(_label_fits(labels, condition) for condition in conditions)


def _label_fits(labels: Mapping[str, str], condition: Condition) -> bool:
    key, *value = [condition] if isinstance(condition, str) else condition
    return key in labels and all(labels[key] == wanted for wanted in value)
