"""Other distributions of ``azureml`` in the same environment: those with the same modules are not mixed with ours."""

import os
from typing import Iterable, List

REFUSED = frozenset(
    (
        "azureml_contrib_functions",
        "azureml_contrib_services",
        "azureml_core",
        "azureml_monitoring",
        "azureml_pipeline_core",
        "azureml_pipeline_steps",
        "azureml_telemetry",
        "azureml_train_core",
        "azureml_widgets",
    )
)
"""Distributions of the vendor whose modules have the names of ours, as their metadata folders spell them."""

_METADATA = (".dist-info", ".egg-info")


def refuse_mixture(package_folders: Iterable[str]) -> None:
    """Raise ImportError where one of REFUSED is installed beside one of the ``azureml`` folders."""
    found = [(name, site) for site in map(os.path.dirname, package_folders) for name in _refused_in(site)]
    if not found:
        return
    name, site = found[0]
    distribution, _, version = name.partition("-")
    distribution = distribution.replace("_", "-")
    raise ImportError(
        "modelport-azureml and {0} {1} are both here, and both have a package named azureml: they would mix. {0} is in "
        "{2}. Use an environment of its own for Modelport; or uninstall {0} (and what needs it), and install again "
        "what it has overwritten: pip uninstall {0}; pip install --force-reinstall --no-deps modelport-azureml".format(
            distribution, version, site
        )
    )


def _refused_in(site: str) -> List[str]:
    """``azureml_core-1.34.0``, for each one that is installed in the folder."""
    try:
        entries = os.listdir(site or os.curdir)
    except OSError:  # a folder that cannot be listed, or a zip file
        return []
    installed = sorted(os.path.splitext(entry)[0] for entry in entries if entry.endswith(_METADATA))
    return [name for name in installed if name.partition("-")[0].lower() in REFUSED]
