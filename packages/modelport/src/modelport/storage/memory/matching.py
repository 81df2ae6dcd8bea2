"""Which models and services a filter means."""

from __future__ import annotations

from modelport.domain.labels import labels_fit
from modelport.domain.models import ModelFilter, ModelVersion
from modelport.domain.names import split_model_id
from modelport.domain.services import Service, ServiceFilter


def model_fits(model: ModelVersion, wanted: ModelFilter) -> bool:
    plain = ("name", "version", "run_id", "framework")
    return (
        all(getattr(wanted, field) in (None, getattr(model, field)) for field in plain)
        and labels_fit(model.tags, wanted.tags)
        and labels_fit(model.properties, wanted.properties)
    )


def service_fits(service: Service, wanted: ServiceFilter) -> bool:
    models = [split_model_id(model_id) for model_id in service.model_ids]
    return (
        (wanted.compute_type is None or wanted.compute_type.upper() == service.compute_type.upper())
        and (wanted.model_name is None or wanted.model_name in [name for name, _ in models])
        and (wanted.model_id is None or split_model_id(wanted.model_id) in models)
        and labels_fit(service.tags, wanted.tags)
        and labels_fit(service.properties, wanted.properties)
    )
