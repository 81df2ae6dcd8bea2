"""From a failure to one thing to try: what the user's traceback, models and environment say together."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from modelport.bundles import Manifest, read_manifest
from modelport.domain.errors import StoreException
from modelport.domain.failures import Failure, Phase
from modelport.domain.services import Revision
from modelport.packages.plan import APP_ROOT
from modelport.usecases.context import Context
from modelport.usecases.pickled_versions import has_scikit_learn, holds_arrays_of_joblib, pickled_with

PACKAGE_OF_MODULE = {
    "sklearn": "scikit-learn",
    "cv2": "opencv-python-headless",
    "PIL": "Pillow",
    "yaml": "PyYAML",
    "skimage": "scikit-image",
    "dateutil": "python-dateutil",
    "inference_schema": "inference-schema[numpy-support,pandas-support]",
}
"""Where the package to install has another name than the module to import."""

SAYS_WHAT_TO_DO = "Modelport does not have it"
"""In what an import of a module says that is known to be absent (``azureml._absent``): the rest is the hint."""

_MODULE_OF_NAME = {
    "rawhttp": "azureml.contrib.services.aml_request",
    "AMLRequest": "azureml.contrib.services.aml_request",
    "AMLResponse": "azureml.contrib.services.aml_response",
    "input_schema": "inference_schema.schema_decorators",
    "output_schema": "inference_schema.schema_decorators",
    "NumpyParameterType": "inference_schema.parameter_types.numpy_parameter_type",
    "PandasParameterType": "inference_schema.parameter_types.pandas_parameter_type",
    "StandardPythonParameterType": "inference_schema.parameter_types.standard_py_parameter_type",
}
"""What entry scripts of v1 use, and may forget to import."""

_GENERAL = {
    Phase.START: "Look at the log; `modelport doctor` checks what on this machine would stop a deployment.",
    Phase.IMPORT: "Correct the script, or what it imports, and deploy again.",
    Phase.INIT: "Correct init() and deploy again, or `modelport service reload` after an edit of the script.",
    Phase.SCHEMA: "Correct the schema decorators of run(): each sample must have the type its parameter type expects.",
    Phase.WARM_UP: "Correct run(), which was called with the sample of its @input_schema, or leave warm_up out.",
}


def explain(context: Context, revision: Revision, failure: Failure) -> Failure:
    """The failure in terms of the user's own files, with a hint: the first rule that knows it speaks."""
    manifest = _manifest(context, revision)
    failure = replace(
        failure,
        traceback=_named_as_shipped(failure.traceback, revision, manifest),
        log=_named_as_shipped(failure.log, revision, manifest),
    )
    if failure.hint:
        return failure
    for rule in _RULES:
        hint = rule(context, revision, failure, manifest)
        if hint:
            return replace(failure, hint=hint)
    return replace(failure, hint=_GENERAL.get(failure.phase, ""))


def _manifest(context: Context, revision: Revision) -> Manifest | None:
    try:
        return read_manifest(context.bundles / revision.bundle_digest)
    except StoreException:
        return None


def in_own_files(context: Context, revision: Revision, text: str) -> str:
    """The text with the user's files in it: a traceback names the copy that ran, the user edits what was shipped."""
    return _named_as_shipped(text, revision, _manifest(context, revision))


def _named_as_shipped(text: str, revision: Revision, manifest: Manifest | None) -> str:
    if manifest is None:
        return text
    shipped = Path(revision.inference.source_directory or Path(revision.inference.entry_script).parent)
    below = f"{manifest.source_directory}/" if manifest.source_directory else ""
    roots = rf'(?:[^"\n]*/work/{revision.number}/app|{APP_ROOT})'
    copy = re.compile(rf'(?<="){roots}/{re.escape(below)}([^/"\n]*)')
    companions = revision.inference.companions
    return copy.sub(lambda found: companions.get(found[1], f"{shipped}/{found[1]}"), text)


def _missing_module(context: Context, revision: Revision, failure: Failure, manifest: Manifest | None) -> str:
    found = re.search(r"No module named '?([\w.]+)'?", failure.message + failure.traceback)
    if not found:
        return ""
    module = found[1].split(".")[0]
    if found[1] == "sklearn.externals" or found[1].startswith("sklearn.externals."):
        return (
            "sklearn.externals.joblib left scikit-learn in 0.23: use 'import joblib', or ask for scikit-learn==0.22.2."
        )
    where = f"the pip dependencies of the environment {revision.environment_name!r}"
    if revision.environment_version is None:
        where = "the Python that deploys (pip install), or give the deployment an environment with it"
    if module == "azureml":  # of many distributions; the one of this name is none of them
        return _missing_of_azureml(found[1], failure)
    return f"Add {PACKAGE_OF_MODULE.get(module, module)} to {where}."


def _missing_of_azureml(name: str, failure: Failure) -> str:
    """What to do; never to add a package of Azure ML to a list: environments that are built leave them out."""
    if SAYS_WHAT_TO_DO in failure.message + failure.traceback:
        return ""
    return (
        f"Modelport has no {name} (docs/compatibility.md lists what it has), and leaves packages of Azure ML out of "
        "the environments that it builds: leave the import out, or have the package in a Python of your own and deploy "
        "with that one (python.user_managed_dependencies = True and python.interpreter_path of the environment)."
    )


def _pickle_of_other_version(context: Context, revision: Revision, failure: Failure, manifest: Manifest | None) -> str:
    if manifest is None or not re.search(r"sklearn|unpickl|pickle|joblib|_loss|node array", failure.traceback):
        return ""
    root = context.bundles / revision.bundle_digest
    for file in manifest.files:
        if file.path.startswith("azureml-models/"):
            version = pickled_with(root / file.path)
            if version and not has_scikit_learn(Path(revision.interpreter[0]), version):
                return (
                    f"The model file {file.path} was written by scikit-learn {version}. Put scikit-learn=={version} "
                    "into the environment, or train and register the model again with the version that serves it."
                )
    return ""


def _written_by_joblib(context: Context, revision: Revision, failure: Failure, manifest: Manifest | None) -> str:
    if manifest is None or "UnpicklingError" not in failure.message:
        return ""
    root = context.bundles / revision.bundle_digest
    for file in manifest.files:
        if file.path.startswith("azureml-models/") and holds_arrays_of_joblib(root / file.path):
            return f"The model file {file.path} was written by joblib: read it with joblib.load(), not with pickle."
    return ""


def _missing_file(context: Context, revision: Revision, failure: Failure, manifest: Manifest | None) -> str:
    if manifest is None or not re.search(r"FileNotFoundError|ModelNotFoundException|No such file", failure.traceback):
        return ""
    models = [file.path for file in manifest.files if file.path.startswith("azureml-models/")]
    if not models:
        return "The deployment has no models: give the model to deploy() (models=[model], --model name:version)."
    listing = "\n  ".join(models[:50]) + ("\n  …" if len(models) > 50 else "")
    return f"Below the app root the deployment has these model files:\n  {listing}"


def _import_forgotten(context: Context, revision: Revision, failure: Failure, manifest: Manifest | None) -> str:
    found = re.search(r"name '(\w+)' is not defined", failure.message)
    module = _MODULE_OF_NAME.get(found[1]) if found else None
    return f"Import it in the script: from {module} import {found[1]}" if found and module else ""


def _nowhere_to_write(context: Context, revision: Revision, failure: Failure, manifest: Manifest | None) -> str:
    if "Read-only file system" not in failure.message:
        return ""
    return "In a container little can be written but below /tmp: have the script write there (tempfile.mkdtemp())."


_Rule = Callable[[Context, Revision, Failure, "Manifest | None"], str]
_RULES: tuple[_Rule, ...] = (
    _missing_module,
    _written_by_joblib,
    _pickle_of_other_version,
    _missing_file,
    _import_forgotten,
    _nowhere_to_write,
)


def last_lines(text: str, *, count: int = 50) -> str:
    """The last lines of a text."""
    return "\n".join(text.splitlines()[-count:])


def traceback_in(log: str) -> str:
    """The last traceback in a log, or an empty text."""
    start = log.rfind("Traceback (most recent call last)")
    return "\n".join(_until_it_ends(log[start:].splitlines())) if start >= 0 else ""


def _until_it_ends(lines: list[str]) -> Iterator[str]:
    for number, line in enumerate(lines):
        yield line
        if number and line and not line.startswith((" ", "\t")):
            return
