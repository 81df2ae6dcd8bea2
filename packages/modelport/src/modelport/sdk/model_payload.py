"""A model as v1's service described it on the wire (azureml-v1 reference, 2.2, 4.6)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from modelport.domain.errors import WebserviceException
from modelport.domain.models import ModelFilter, ModelVersion, ResourceConfiguration
from modelport.storage.interface import MetadataStore

_NEEDED = ("name", "version", "createdTime")


def version_of_payload(payload: Mapping[str, Any], store: MetadataStore) -> ModelVersion:
    """The version that the payload describes. Tags may be under ``kvTags`` or, as ``serialize`` has them, ``tags``.

    The files are those that the store has for that id, if any. Raises WebserviceException where a key is missing.
    """
    missing = [key for key in _NEEDED if payload.get(key) is None]
    if missing:
        raise WebserviceException(
            f"Invalid model payload: it has no {', '.join(missing)}.", hint="Give what a model's serialize() returned."
        )
    name, version = str(payload["name"]), int(payload["version"])
    registered = store.models(ModelFilter(name=name, version=version))
    return ModelVersion(
        name=name,
        version=version,
        files=registered[0].files if registered else (),
        is_folder=bool(payload.get("unpack")),
        created_time=dt.datetime.fromisoformat(str(payload["createdTime"])),
        created_by=_user(payload.get("createdBy")),
        description=payload.get("description"),
        tags=_texts(payload.get("kvTags", payload.get("tags"))),
        properties=_texts(payload.get("properties")),
        framework=payload.get("framework"),
        framework_version=payload.get("frameworkVersion"),
        resource_configuration=ResourceConfiguration.deserialize(
            payload.get("resourceRequirements", payload.get("resourceConfiguration"))
        ),
        sample_input=payload.get("sampleInputData", payload.get("sampleInputDatasetId")),
        sample_output=payload.get("sampleOutputData", payload.get("sampleOutputDatasetId")),
        run_id=payload.get("runId"),
        experiment_name=payload.get("experimentName"),
    )


def _user(created_by: Mapping[str, Any] | str | None) -> str:
    return str(created_by.get("userName") or "") if isinstance(created_by, Mapping) else str(created_by or "")


def _texts(values: Mapping[str, Any] | None) -> dict[str, str]:
    return {str(key): str(value) for key, value in (values or {}).items()}
