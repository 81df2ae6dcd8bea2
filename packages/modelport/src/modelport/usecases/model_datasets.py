"""Which data sets a model version was made from (azureml-v1 reference, 2.2): references, by a word and an id."""

from __future__ import annotations

from collections.abc import Iterable

from modelport.domain.models import ModelVersion
from modelport.storage.interface import MetadataStore
from modelport.usecases.register_model import current_user

_KIND = "model-datasets"
"""Assets of this kind: one for each model version that has references; its name is the version's id."""

Reference = tuple[str, str]
"""What the data set was for (``training``), and its id."""


def dataset_references(store: MetadataStore, model: ModelVersion) -> list[Reference]:
    """The references of the model version, in the order in which they were added."""
    kept = store.asset(_KIND, model.id)
    return [] if kept is None else [(purpose, dataset_id) for purpose, dataset_id in kept.body["references"]]


def add_dataset_references(store: MetadataStore, model: ModelVersion, references: Iterable[Reference]) -> None:
    """Add those that are not there yet."""
    known = dataset_references(store, model)
    body = {"references": list(dict.fromkeys([*known, *references]))}
    kept = store.asset(_KIND, model.id)
    if kept is None:
        store.add_asset(_KIND, model.id, body, created_by=current_user(), unique=True)
    else:
        store.replace_asset(_KIND, model.id, kept.version, body)


def models_of_dataset(store: MetadataStore, dataset_id: str) -> set[str]:
    """The ids of the model versions that refer to the data set."""
    return {
        kept.name
        for kept in store.assets(_KIND)
        if any(dataset_id == referred for _, referred in kept.body["references"])
    }


def forget_dataset_references(store: MetadataStore, model: ModelVersion) -> None:
    """Remove the references of a model version that is deleted."""
    store.delete_asset(_KIND, model.id)
