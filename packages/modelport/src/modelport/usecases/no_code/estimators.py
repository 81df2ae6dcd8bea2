"""Pickled estimators: what they are, and the columns that they take, read off the pickle without running it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelport.usecases.no_code.interface import ModelFolder, looks_like, refused
from modelport.usecases.no_code.pickled_objects import (
    ArrayFound,
    NoPickle,
    PickleFound,
    Standin,
    as_array,
    parts_of,
    read_pickle,
)

PACKAGES = {
    "sklearn": "scikit-learn",
    "numpy": "numpy",
    "scipy": "scipy",
    "pandas": "pandas",
    "joblib": "joblib",
    "lightgbm": "lightgbm",
    "xgboost": "xgboost",
    "catboost": "catboost",
    "imblearn": "imbalanced-learn",
    "sklearn_pandas": "sklearn-pandas",
    "category_encoders": "category-encoders",
    "feature_engine": "feature-engine",
    "mlxtend": "mlxtend",
    "dill": "dill",
    "cloudpickle": "cloudpickle",
}
"""Where a pickle may have names from, and the package to install for each."""

_PYTHON = sys.stdlib_module_names | {"__builtin__", "copy_reg"}
_EXTERNALS = "sklearn.externals.joblib"
_VECTORIZERS = frozenset({"CountVectorizer", "TfidfVectorizer", "HashingVectorizer"})
_INNER = ("best_estimator_", "regressor_", "estimator_", "estimators_", "base_estimator", "estimator")
"""Where an estimator keeps the one that it was fitted with."""
_COUNTS = ("n_features_in_", "n_features_", "n_features", "_n_features")
_ARRAYS = ("coef_", "components_", "cluster_centers_", "theta_", "means_", "_fit_X", "X_fit_", "support_vectors_")
"""Fitted arrays with a column for each feature."""
_VECTORS = ("mean_", "scale_", "min_", "center_", "statistics_", "feature_importances_")


@dataclass(frozen=True, kw_only=True)
class EstimatorFound:
    """An estimator in a file."""

    path: Path
    class_name: str
    module: str
    version: str
    """Of scikit-learn, which wrote it; empty where it does not tell."""
    loader: str
    packages: tuple[str, ...]
    """What the pickle needs besides scikit-learn, NumPy, pandas and joblib."""
    input: Mapping[str, Any]
    """``kind`` (matrix, table, texts), ``columns``, ``names`` and ``types``, as the entry script reads them."""
    root: Standin = field(repr=False)
    """The object itself, as far as it can be read."""


def find_estimator(model: ModelFolder, path: Path) -> EstimatorFound:
    """The estimator in the file. Raises WebserviceException where there is none, or its code is not to be had."""
    try:
        pickled = read_pickle(path)
    except NoPickle as error:
        raise refused(
            model,
            f"{path.name} {error}; it looks like {looks_like(path)}.",
            hint="Save the fitted estimator with joblib.dump(model, path) or pickle.dump, and register that file.",
        ) from error
    root = pickled.root
    if not isinstance(root, Standin):
        raise refused(
            model,
            f"{path.name} holds {_kind(root)}, not an estimator.",
            hint="Save the fitted estimator alone, or give an InferenceConfig with an entry script that reads this.",
        )
    packages = _packages(model, path, pickled)
    module = root.made_of.module
    if module.split(".")[0] in ("builtins", "collections", "numpy", "pandas", "joblib"):
        raise refused(
            model, f"{path.name} holds a {module}.{root.made_of.name}, not an estimator.", hint="Save the estimator."
        )
    return EstimatorFound(
        path=path,
        class_name=root.made_of.name,
        module=module,
        version=_version(root),
        loader=_EXTERNALS if any(name.startswith(_EXTERNALS) for name, _ in pickled.names) else "joblib",
        packages=packages,
        input=_input(root, model.sample_input),
        root=root,
    )


def _kind(value: object) -> str:
    return "an array" if isinstance(value, ArrayFound) else f"a {type(value).__name__}"


def _packages(model: ModelFolder, path: Path, pickled: PickleFound) -> tuple[str, ...]:
    foreign = sorted((module, name) for module, name in pickled.names if module.split(".")[0] not in _PYTHON)
    for module, name in [*foreign, *(("__main__", name) for module, name in pickled.names if module == "__main__")]:
        if module.split(".")[0] not in PACKAGES:
            raise refused(
                model,
                f"{path.name} needs {module}.{name}, code of yours that a model file does not hold.",
                hint="Give an InferenceConfig whose source_directory has that code, and an entry script.",
            )
    found = {PACKAGES[module.split(".")[0]] for module, _ in foreign}
    return tuple(sorted(found - {"scikit-learn", "numpy", "pandas", "joblib", "scipy"}))


def _version(root: Standin) -> str:
    versions = (part.fields.get("_sklearn_version") for part in parts_of(root))
    return next((version for version in versions if isinstance(version, str)), "")


# --- columns ----------------------------------------------------------------------------------------------------------


def _input(root: Standin, sample: object) -> dict[str, Any]:
    outermost = list(_outside_in(root))
    if any(part.made_of.name in _VECTORIZERS for part in outermost):
        return {"kind": "texts", "columns": None, "names": None, "types": None}
    names = next(filter(None, map(_names, outermost)), None)
    count = len(names) if names else next(filter(None, map(_count, outermost)), None)
    types = _types(outermost, names) if names else None
    if not names and isinstance(sample, list) and sample:
        return _of_sample(sample, count)
    kind = "table" if types and set(types) != {"float64"} else "matrix"
    return {"kind": kind, "columns": count, "names": names, "types": types}


def _of_sample(sample: list[Any], count: int | None) -> dict[str, Any]:
    """What the sample input says that the file does not."""
    row = sample[0]
    if isinstance(row, dict):
        types = ["string" if isinstance(value, str) else "float64" for value in row.values()]
        kind = "table" if "string" in types else "matrix"
        return {"kind": kind, "columns": len(row), "names": list(row), "types": types}
    if isinstance(row, str):
        return {"kind": "texts", "columns": None, "names": None, "types": None}
    return {"kind": "matrix", "columns": count or len(row), "names": None, "types": None}


def _outside_in(value: object, *, depth: int = 8) -> Iterator[Standin]:
    """The estimator, and those inside that see the same columns as it."""
    if not isinstance(value, Standin) or depth < 0:
        return
    yield value
    fields = value.fields
    for steps in (fields.get("steps"), fields.get("transformer_list")):
        if isinstance(steps, list):
            estimators = [step[1] for step in steps if isinstance(step, tuple) and isinstance(step[1], Standin)]
            yield from _outside_in(next(iter(estimators), None), depth=depth - 1)
    for name in _INNER:
        inner = fields.get(name)
        yield from _outside_in(inner[0] if isinstance(inner, list) and inner else inner, depth=depth - 1)


def _names(part: Standin) -> list[str] | None:
    found = as_array(part.fields.get("feature_names_in_"))
    if isinstance(found, ArrayFound) and found.elements and all(isinstance(name, str) for name in found.elements):
        return list(found.elements)
    columns = [column for _, _, columns in _transformers(part) for column in columns]
    texts = [column for column in columns if isinstance(column, str)]
    return list(dict.fromkeys(texts)) if texts and len(texts) == len(columns) else None


def _count(part: Standin) -> int | None:
    for name in _COUNTS:
        found = whole_number(part.fields.get(name))
        if found:
            return found
    for names, rank in ((_ARRAYS, (1, 2)), (_VECTORS, (1,))):
        for name in names:
            array = as_array(part.fields.get(name))
            if isinstance(array, ArrayFound) and len(array.shape) in rank and array.shape[-1] > 0:
                return array.shape[-1]
    return None


def whole_number(value: object) -> int | None:
    """The number, also where the pickle has it as a scalar of NumPy's."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, Standin) and value.name == "scalar" and isinstance(value.arguments[-1], bytes):
        return int.from_bytes(value.arguments[-1], "little")
    return None


def _transformers(part: Standin) -> Iterator[tuple[str, object, Sequence[object]]]:
    """Name, transformer and columns of a ColumnTransformer's parts."""
    fitted = part.fields.get("transformers_")
    for entry in fitted if isinstance(fitted, list) else ():
        if isinstance(entry, tuple) and len(entry) == 3:
            name, transformer, columns = entry
            columns = [columns] if isinstance(columns, str) else as_array(columns)
            columns = columns.elements if isinstance(columns, ArrayFound) else columns
            if isinstance(columns, list | tuple):
                yield name, transformer, columns


def _types(outermost: Sequence[Standin], names: Sequence[str]) -> list[str]:
    texts: set[object] = set()
    for part in outermost:
        for _, transformer, columns in _transformers(part):
            for position, column in enumerate(columns):
                if _takes_text(transformer, position, len(columns)):
                    texts.add(names[column] if isinstance(column, int) else column)
        if not any(_transformers(part)) and "categories_" in part.fields:
            texts |= {name for position, name in enumerate(names) if _takes_text(part, position, len(names))}
    return ["string" if name in texts else "float64" for name in names]


def _takes_text(transformer: object, position: int, width: int) -> bool:
    for part in parts_of(transformer):
        if part.made_of.name in _VECTORIZERS:
            return True
        categories = part.fields.get("categories_")
        if isinstance(categories, list) and len(categories) == width:
            known = as_array(categories[position])
            elements = known.elements if isinstance(known, ArrayFound) else ()
            return isinstance(known, ArrayFound) and (
                known.code.startswith("U") or any(isinstance(element, str) for element in elements)
            )
    return False
