"""MLflow: a model folder with ``MLmodel`` in it; its signature is the schema, its requirements the environment.

Source of the format: MLflow's documentation, "Model signatures" and "Storage format".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from modelport.domain import models
from modelport.domain.environments import CondaSpecification
from modelport.environments.python_request import conda_name
from modelport.environments.requirement_lines import package_name
from modelport.environments.specification import read_conda_file, read_requirements
from modelport.usecases.no_code.interface import ModelFolder, Plan, Requirements, refused

_FILE = "MLmodel"
_HINT = "Register the folder that mlflow.<flavor>.save_model or log_model wrote, with MLmodel in it."
_BY_ROWS = ("sklearn", "xgboost", "lightgbm", "catboost", "onnx", "tensorflow", "keras", "pytorch", "statsmodels")
"""Flavors whose ``predict`` gives each row its own answer."""
_SERVED = ("inference-schema", "pandas")
"""What the entry script needs besides the model's own requirements."""


class MlFlow:
    """The framework."""

    name = models.Framework.MLFLOW

    def recognises(self, model: ModelFolder) -> bool:
        return any(path.name == _FILE for path in model.files)

    def plan(self, model: ModelFolder) -> Plan:
        found = [path.parent for path in model.files if path.name == _FILE]
        if len(found) != 1:
            raise refused(model, f"it has {len(found)} files named {_FILE}.", hint=_HINT)
        (folder,) = found
        described = _read(model, folder / _FILE)
        flavors: Mapping[str, Any] = described.get("flavors") or {}
        function = flavors.get("python_function")
        if not isinstance(function, Mapping):
            raise refused(
                model,
                f"{_FILE} has no flavor python_function, which is what can be served; it has: {', '.join(flavors)}.",
                hint="Save it with a flavor of MLflow's for Python.",
            )
        columns, tensors = _signature(model, described.get("signature"))
        own = sorted(name for name in flavors if name != "python_function")
        by_rows = any(name in _BY_ROWS for name in own)
        return Plan(
            framework=self.name,
            summary=f"MLflow {described.get('mlflow_version', '')}, flavor {', '.join(own) or 'python_function'}",
            script="score_mlflow.py",
            facts={
                "framework": self.name,
                "model": model.relative(folder),
                "by_rows": by_rows,
                "columns": columns,
                "tensors": tensors,
                "is_bare_tensor": tensors is not None and len(tensors) == 1,
            },
            requirements=_requirements(model, folder, described, function),
            by_rows=by_rows,
            notes=_notes(columns, tensors),
        )


def _notes(columns: object, tensors: object) -> tuple[str, ...]:
    if columns is None and tensors is None:
        return ("The model has no signature: the service takes any table, and describes none.",)
    return ()


def _read(model: ModelFolder, path: Path) -> Mapping[str, Any]:
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise refused(model, f"{_FILE} is no YAML: {error}.", hint=_HINT) from error
    if not isinstance(found, Mapping):
        raise refused(model, f"{_FILE} holds no keys.", hint=_HINT)
    return found


# --- signature --------------------------------------------------------------------------------------------------------


def _signature(
    model: ModelFolder, signature: object
) -> tuple[list[dict[str, Any]] | None, list[dict[str, Any]] | None]:
    """Columns or tensors of the inputs; neither where there is no signature."""
    text = signature.get("inputs") if isinstance(signature, Mapping) else None
    if not text:
        return None, None
    try:
        specs = json.loads(text)
        if specs and specs[0].get("type") == "tensor":
            return None, [_tensor(number, spec) for number, spec in enumerate(specs)]
        return [_column(number, spec) for number, spec in enumerate(specs)], None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise refused(model, f"the signature in {_FILE} cannot be read: {error!r}.", hint=_HINT) from error


def _column(number: int, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": str(spec.get("name", number)),
        "type": str(spec["type"]),
        "required": not spec.get("optional", False) and spec.get("required", True),
    }


def _tensor(number: int, spec: Mapping[str, Any]) -> dict[str, Any]:
    inside = spec["tensor-spec"]
    kind = str(inside["dtype"])
    return {
        "name": str(spec.get("name", "data" if number == 0 else f"data_{number}")),
        "type": "string" if kind in ("str", "object", "bytes") else kind,
        "shape": [None if size == -1 else size for size in inside["shape"]],
    }


# --- requirements -----------------------------------------------------------------------------------------------------


def _requirements(
    model: ModelFolder, folder: Path, described: Mapping[str, Any], function: Mapping[str, Any]
) -> Requirements:
    """Their own: ``requirements.txt`` and ``python_env.yaml`` of newer folders, ``conda.yaml`` of older ones."""
    conda = read_conda_file(folder / "conda.yaml") if (folder / "conda.yaml").is_file() else CondaSpecification()
    listed = folder / "requirements.txt"
    own = read_requirements(listed) if listed.is_file() else conda.pip
    if not own and not conda.packages:
        raise refused(
            model,
            "its folder has neither requirements.txt nor conda.yaml, so that nobody knows what it needs.",
            hint="Save it with a newer MLflow, or give an InferenceConfig with an environment.",
        )
    names = {package_name(line) for line in own}
    added = [name for name in _SERVED if name not in names]
    others = tuple(name for name in conda.packages if conda_name(name) not in ("python", "pip"))
    use_conda = bool(others) and not listed.is_file()
    return Requirements(
        pip=(*own, *added),
        python=_python(folder, conda, function),
        conda_channels=conda.channels if use_conda else (),
        conda_packages=others if use_conda else (),
    )


def _python(folder: Path, conda: CondaSpecification, function: Mapping[str, Any]) -> str | None:
    """The Python that the folder names: in ``python_env.yaml``, ``conda.yaml`` or ``MLmodel``."""
    file = folder / "python_env.yaml"
    named: Sequence[object] = [
        (yaml.safe_load(file.read_text(encoding="utf-8")) or {}).get("python") if file.is_file() else None,
        *(name for name in conda.packages if conda_name(name) == "python"),
        function.get("python_version"),
    ]
    for given in named:
        found = re.search(r"\d+\.\d+(?:\.\d+)?", str(given or ""))
        if found:
            return found[0]
    return None
