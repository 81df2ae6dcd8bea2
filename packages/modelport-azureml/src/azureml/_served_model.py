"""``Model`` inside a service, and where there is no client: ``get_model_path``, and how to get the rest."""

import importlib.util
import os
from importlib import import_module
from typing import Any, Dict, List, Optional

from azureml._placeholders import needs_client
from azureml.exceptions import ModelNotFoundException, WebserviceException

MODELS_DIR = "azureml-models"
"""The folder of the models, relative to the working directory, which in a service is the app root."""

LISTED_ENTRIES = 50

_RUN = "MODELPORT_RUN_FOLDER"
"""Is there in a submitted script, which may register models without the client."""

__all__ = ["MODELS_DIR", "Model"]


class _ServedModel(type):
    """What a registered model has beyond its path is the client's: it is loaded where a script asks for it."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return _of_client("The constructor of azureml.core.Model")(*args, **kwargs)

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name == "register" and _RUN in os.environ and not _has_client():
            return import_module("azureml._runs.registering").register_path
        return getattr(_of_client("azureml.core.Model." + name), name)


class Model(metaclass=_ServedModel):
    """A registered model. Without the client ``get_model_path`` is there, and ``register`` in a submitted script; the
    rest raises ImportError.
    """

    @staticmethod
    def get_model_path(model_name: str, version: Optional[int] = None, _workspace: Any = None) -> str:
        """The relative path of a model's file or folder: ``azureml-models/<name>/<version>/<file or folder>``.

        Without ``version`` the greatest one that is there, or, if there is none, ``model_name`` in the working
        directory. AZUREML_MODEL_DIR is not looked at.

        Raises ModelNotFoundException where there is no such model, and WebserviceException where the name is None,
        the version is no integer or is not there, or its folder does not hold exactly one entry.
        """
        if _workspace is not None:
            client = _of_client("Model.get_model_path with a workspace")
            return str(client.get_model_path(model_name, version, _workspace))
        if model_name is None:
            raise WebserviceException("The model's name is None: give the name that it was registered under.")
        if version is None:
            return _path_of_latest(model_name)
        if not isinstance(version, int):
            raise WebserviceException("version must be an int, not {!r}.".format(version))
        return _path_of_version(model_name, version)


def _has_client() -> bool:
    return importlib.util.find_spec("modelport") is not None


def _of_client(what: str) -> Any:
    if not _has_client():
        needs_client(what)
    return import_module("modelport.sdk.v1.model").Model


def versions_beside() -> Dict[str, List[int]]:
    """The versions of each model in the cache, by its name."""
    if not os.path.isdir(MODELS_DIR):
        return {}
    found = {name: _versions(name) for name in os.listdir(MODELS_DIR)}
    return {name: versions for name, versions in found.items() if versions}


def _path_of_latest(name: str) -> str:
    versions = _versions(name)
    if versions:
        return _only_entry(_version_folder(name, max(versions)))
    if os.path.exists(name):
        return name
    raise ModelNotFoundException(
        "Model {!r} was not found in the cache {} nor in the working directory {}. {}".format(
            name, MODELS_DIR, os.getcwd(), _what_is_there()
        )
    )


def _path_of_version(name: str, version: int) -> str:
    folder = _version_folder(name, version)
    if os.path.isdir(folder):
        return _only_entry(folder)
    raise WebserviceException(
        "Version {} of model {!r} was not found in the cache {} below the working directory {}. {}".format(
            version, name, MODELS_DIR, os.getcwd(), _what_is_there()
        )
    )


def _version_folder(name: str, version: int) -> str:
    return os.path.join(MODELS_DIR, name, str(version))


def _versions(name: str) -> List[int]:
    folder = os.path.join(MODELS_DIR, name)
    if not os.path.isdir(folder):
        return []
    return [
        int(entry) for entry in os.listdir(folder) if entry.isdecimal() and os.path.isdir(os.path.join(folder, entry))
    ]


def _only_entry(folder: str) -> str:
    entries = sorted(os.listdir(folder))
    if len(entries) != 1:
        raise WebserviceException(
            "The folder {} can contain only 1 file or folder, and it contains {}: {}".format(
                folder, len(entries), ", ".join(entries[:LISTED_ENTRIES]) or "nothing"
            )
        )
    return os.path.join(folder, entries[0])


def _what_is_there() -> str:
    return "{} holds: {}. The working directory holds: {}.".format(MODELS_DIR, _list_cache(), _list_entries(os.curdir))


def _list_cache() -> str:
    if not os.path.isdir(MODELS_DIR):
        return "nothing (there is no such folder)"
    found: List[str] = []
    for name in sorted(os.listdir(MODELS_DIR)):
        versions = sorted(_versions(name))
        found.extend("{} version {}".format(name, version) for version in versions)
        found.extend([] if versions else [name + " (no version in it)"])
    return _first_of(found)


def _list_entries(folder: str) -> str:
    return _first_of(sorted(os.listdir(folder)))


def _first_of(names: List[str]) -> str:
    shown = ", ".join(names[:LISTED_ENTRIES]) or "nothing"
    return shown + (", …" if len(names) > LISTED_ENTRIES else "")
