"""The distributions named ``azureml-…`` that dependency lists of v1 name, and what becomes of them.

None is ever fetched: their names are served by Modelport's own package, and a mixture of both would be neither.
"""

from __future__ import annotations

_PREFIX = "azureml-"

PROVIDED = frozenset(
    {
        "azureml-contrib-services",
        "azureml-core",
        "azureml-defaults",
        "azureml-inference-server-http",
        "azureml-model-management-sdk",
        "azureml-monitoring",
        "azureml-sdk",
    }
)
"""The worker brings what a service needs of these."""

OFTEN_REQUIRED = (
    *sorted(PROVIDED),
    "azureml-automl-core",
    "azureml-automl-runtime",
    "azureml-dataprep",
    "azureml-dataprep-native",
    "azureml-dataprep-rslex",
    "azureml-dataset-runtime",
    "azureml-interpret",
    "azureml-mlflow",
    "azureml-pipeline",
    "azureml-pipeline-core",
    "azureml-pipeline-steps",
    "azureml-telemetry",
    "azureml-train",
    "azureml-train-automl",
    "azureml-train-automl-client",
    "azureml-train-automl-runtime",
    "azureml-train-core",
    "azureml-train-restclients-hyperdrive",
    "azureml-widgets",
)
"""Those that other packages require: the resolver is told to leave them out wherever they are asked for."""

OF_OLD_SERVER = frozenset(
    {
        "applicationinsights",
        "flask",
        "flask-cors",
        "gevent",
        "gunicorn",
        "itsdangerous",
        "jinja2",
        "json-logging-py",
        "markupsafe",
        "pynacl",
        "werkzeug",
    }
)
"""What dependency lists pinned for the scoring server of v1, which ran inside the environment of the script."""


def is_azureml(name: str | None) -> bool:
    """Whether the package, its name in normal form, is one of them."""
    return name is not None and name.startswith(_PREFIX)


def why_left_out(name: str, written: str) -> str:
    """The note for an entry ``written`` of a dependency list."""
    if name in PROVIDED:
        return f"{written} is not installed: Modelport's worker brings what it is for."
    return (
        f"{written} is not installed: packages of Azure ML are never fetched. A script that imports "
        f"{name.replace('-', '.')}, or a model that was pickled with its classes, will not find it."
    )
