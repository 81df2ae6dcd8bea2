"""Labels of environment versions: names by which a version is found (azureml-v1 reference, 2.4)."""

from __future__ import annotations

from collections.abc import Iterable

from modelport.domain.errors import EnvironmentException, UserErrorException
from modelport.storage.interface import MetadataStore
from modelport.usecases.register_model import current_user

LATEST = "latest"
"""The label that the newest version has by itself."""

_KIND = "environment-labels"
"""Assets of this kind: one for each environment with labels; its body holds the version of each label."""


def label_environment(store: MetadataStore, name: str, version: str, labels: Iterable[str]) -> None:
    """Give the version these labels; each is taken from another version that has it.

    Raises EnvironmentException where there is no such version, UserErrorException for ``latest`` and for one text
    instead of a list.
    """
    if isinstance(labels, str):
        raise UserErrorException(f"labels must be a list, not the text {labels!r}.", hint=f"Write [{labels!r}].")
    chosen = list(labels)
    if LATEST in chosen:
        raise UserErrorException("The label 'latest' is always the newest version's.", hint="Choose another label.")
    if version not in {known.version for known in store.environments(name)}:
        raise EnvironmentException(f"The environment {name!r} has no version {version}.")
    kept = store.asset(_KIND, name)
    body = dict.fromkeys(chosen, version)
    if kept is None:
        store.add_asset(_KIND, name, body, created_by=current_user(), unique=True)
    else:
        store.replace_asset(_KIND, name, kept.version, {**kept.body, **body})


def version_with_label(store: MetadataStore, name: str, label: str) -> str | None:
    """The version that has the label; None, which is the newest one, for ``latest``. Raises EnvironmentException."""
    if label == LATEST:
        return None
    kept = store.asset(_KIND, name)
    known: dict[str, str] = dict(kept.body) if kept else {}
    if label not in known:
        there = ", ".join(repr(each) for each in (LATEST, *known))
        raise EnvironmentException(f"The environment {name!r} has no label {label!r}.", hint=f"There is {there}.")
    return known[label]
