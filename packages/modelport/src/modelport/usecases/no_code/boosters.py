"""LightGBM and XGBoost: boosters as their libraries save them, and pickled estimators of theirs."""

from __future__ import annotations

import json
import platform
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from modelport.domain import models
from modelport.domain.errors import WebserviceException
from modelport.usecases.no_code.estimators import EstimatorFound, find_estimator
from modelport.usecases.no_code.interface import ModelFolder, Plan, Requirements, only_file, refused
from modelport.usecases.no_code.pickled_objects import Standin, parts_of
from modelport.usecases.no_code.requirements import BASE, agreed_version, bounds, numbers_of, only_wheels, pinned
from modelport.usecases.no_code.scikit_learn import SUFFIXES, plan_of_estimator
from modelport.usecases.no_code.ubjson import NoUbjson, read_ubjson

_LIGHTGBM_HEADER = 1 << 20
"""Bytes of a model file that are looked at: the names of all features stand before the first tree."""


class LightGbm:
    """The framework."""

    name = models.Framework.LIGHTGBM

    def recognises(self, model: ModelFolder) -> bool:
        if len(model.files) != 1:
            return False
        return _is_lightgbm(model.files[0]) or _is_estimator_of(model, "lightgbm")

    def plan(self, model: ModelFolder) -> Plan:
        path = only_file(model, (".txt", ".lgb", ".lgbm", ".model", *SUFFIXES), what="a booster")
        if not _is_lightgbm(path):
            decisive = pinned("lightgbm", model.framework_version)
            return _plan_estimator(
                model, _estimator_of(model, path, "lightgbm"), framework=self.name, decisive=decisive
            )
        header = _lightgbm_header(path)
        names = header.get("feature_names", "").split()
        try:
            count = int(header["max_feature_idx"]) + 1
            classes = int(header.get("num_tree_per_iteration", header.get("num_class", "1")))
        except (KeyError, ValueError) as error:
            raise _damaged(model, path, error) from error
        return _plan_booster(
            model,
            path,
            framework=self.name,
            package="lightgbm",
            script="score_lightgbm.py",
            summary=f"LightGBM booster, {header.get('objective', 'own objective')}, {count} features",
            count=count,
            names=names,
            classes=classes,
            decisive=pinned("lightgbm", model.framework_version),
        )


class XgBoost:
    """The framework."""

    name = models.Framework.XGBOOST

    def recognises(self, model: ModelFolder) -> bool:
        if len(model.files) != 1:
            return False
        try:
            return _xgboost(model.files[0]) is not None or _is_estimator_of(model, "xgboost")
        except ValueError:
            return False

    def plan(self, model: ModelFolder) -> Plan:
        path = only_file(model, (".json", ".ubj", ".bst", ".xgb", ".model", *SUFFIXES), what="a booster")
        found = _xgboost(path)
        if found is None:
            return _plan_xgboost_estimator(model, path)
        try:
            learner = found["learner"]
            parameters = learner["learner_model_param"]
            count = int(parameters["num_feature"])
            objective = str(learner.get("objective", {}).get("name", "own objective"))
            classes = int(parameters.get("num_class", 0)) if objective == "multi:softprob" else 1
            targets = int(parameters.get("num_target", 1) or 1)
            decisive, notes = _xgboost_requirement(model, found)
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise _damaged(model, path, error) from error
        return _plan_booster(
            model,
            path,
            framework=self.name,
            package="xgboost",
            script="score_xgboost.py",
            summary=f"XGBoost booster, {objective}, {count} features",
            count=count,
            names=list(learner.get("feature_names") or ()),
            classes=max(classes, targets, 1),
            decisive=decisive,
            notes=notes,
        )


def _damaged(model: ModelFolder, path: Path, error: Exception) -> WebserviceException:
    return refused(
        model,
        f"{path.name} is a damaged model: what it says of its features cannot be read ({error!r}).",
        hint="Save it again with save_model(path).",
    )


def _plan_booster(
    model: ModelFolder,
    path: Path,
    *,
    framework: str,
    package: str,
    script: str,
    summary: str,
    count: int,
    names: Sequence[str],
    classes: int,
    decisive: str,
    notes: tuple[str, ...] = (),
) -> Plan:
    name, _, version = decisive.partition("==")
    wheels = only_wheels(name, "numpy", "scipy")
    outputs = [{"name": "predictions", "type": "float64", "shape": [None, classes] if classes > 1 else [None]}]
    inputs = [{"name": "data", "type": "float64", "shape": [None, count]}]
    return Plan(
        framework=framework,
        summary=summary,
        script=script,
        facts={
            "framework": framework,
            "model": model.relative(path),
            "by_rows": True,
            "default_signature": "serving_default",
            "signatures": {"serving_default": {"inputs": inputs, "outputs": outputs}},
            "feature_names": list(names),
        },
        requirements=Requirements(
            pip=(*wheels, decisive, *BASE, *bounds(package, version.removesuffix(".*"))), decisive=decisive
        ),
        notes=notes,
    )


def _estimator_of(model: ModelFolder, path: Path, module: str) -> EstimatorFound:
    """The pickled estimator of that library, or of scikit-learn with one inside."""
    estimator = find_estimator(model, path)
    if estimator.module.split(".")[0] not in (module, "sklearn"):
        raise refused(
            model, f"{path.name} holds a {estimator.module}.{estimator.class_name}.", hint=f"Save a model of {module}."
        )
    return estimator


def _plan_estimator(
    model: ModelFolder,
    estimator: EstimatorFound,
    *,
    framework: str,
    decisive: str,
    notes: tuple[str, ...] = (),
) -> Plan:
    name, _, version = decisive.partition("==")
    learn = (pinned("scikit-learn", estimator.version),) if estimator.version else ("scikit-learn",)
    others = [package for package in estimator.packages if package not in ("lightgbm", "xgboost")]
    return plan_of_estimator(
        model,
        estimator,
        framework=framework,
        summary=f"{framework} {version or '(newest)'}, {estimator.class_name}",
        decisive=decisive,
        others=(*learn, *others, *bounds(name, version.removesuffix(".*"))),
        notes=notes,
    )


def _plan_xgboost_estimator(model: ModelFolder, path: Path) -> Plan:
    """The booster inside, in UBJSON, tells the version and the number of features."""
    estimator = _estimator_of(model, path, "xgboost")
    handles = (part.fields.get("handle") for part in parts_of(estimator.root) if part.made_of.name == "Booster")
    try:
        found = read_ubjson(_as_bytes(next(handles, b""))).get("Model", {})
    except (NoUbjson, AttributeError):
        found = {}
    count = int(found.get("learner", {}).get("learner_model_param", {}).get("num_feature", 0)) or None
    if estimator.input["kind"] == "matrix" and estimator.input["columns"] is None:
        names = list(found.get("learner", {}).get("feature_names") or ()) or None
        known = {"columns": count, "names": names, "types": ["float64"] * len(names) if names else None}
        estimator = replace(estimator, input={**estimator.input, **known})
    decisive, notes = _xgboost_requirement(model, found) if found else (pinned("xgboost", model.framework_version), ())
    return _plan_estimator(model, estimator, framework=models.Framework.XGBOOST, decisive=decisive, notes=notes)


def _as_bytes(value: object) -> bytes:
    """A bytearray, which older protocols have a function make of bytes."""
    value = value.arguments[0] if isinstance(value, Standin) and value.arguments else value
    return bytes(value) if isinstance(value, bytes | bytearray) else b""


def _is_estimator_of(model: ModelFolder, module: str) -> bool:
    if model.path.suffix.lower() not in SUFFIXES:
        return False
    try:
        return find_estimator(model, model.files[0]).module.split(".")[0] == module
    except WebserviceException:
        return False


# --- LightGBM's text --------------------------------------------------------------------------------------------------


def _is_lightgbm(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(64).replace(b"\r\n", b"\n")
    return start.startswith(b"tree\nversion=")


def _lightgbm_header(path: Path) -> dict[str, str]:
    with path.open("rb") as file:
        text = file.read(_LIGHTGBM_HEADER).decode("utf-8", "replace")
    header = text.split("\nTree=", 1)[0]
    return dict(line.split("=", 1) for line in header.splitlines() if "=" in line)


# --- XGBoost's JSON, UBJSON and older binary --------------------------------------------------------------------------


def _xgboost_requirement(model: ModelFolder, found: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """The version that wrote it, as the build without CUDA where there is one: that has a twentieth of the size."""
    written = ".".join(map(str, found.get("version") or ()))
    version, notes = agreed_version(model, written, package="XGBoost")
    if version is None:
        return "xgboost<3.1", notes  # the last that reads files from before they named a version
    has_small = numbers_of(version) >= (2, 1) and version != "2.1.0"
    has_small = has_small and platform.machine() == "x86_64" and not model.wants_gpu
    return pinned("xgboost-cpu" if has_small else "xgboost", version), notes


def _xgboost(path: Path) -> dict[str, Any] | None:
    """The model without its trees; None where the file is none of XGBoost's."""
    with path.open("rb") as file:
        start = file.read(200)
    if start[:1] == b"{":
        found = _json_or_ubjson(path, start)
        return found if isinstance(found, dict) and "learner" in found else None
    return _binary(start)


def _json_or_ubjson(path: Path, start: bytes) -> object:
    if re.match(rb'\{\s*"', start):
        try:
            return json.loads(path.read_bytes())
        except ValueError:
            return None
    try:
        return read_ubjson(path.read_bytes())
    except NoUbjson:
        return None


def _binary(start: bytes) -> dict[str, Any] | None:
    """The struct LearnerModelParam: base score, features, classes, flags, and the version from 1.0 on."""
    header = start.removeprefix(b"binf")
    if len(header) < 140 or not (start.startswith(b"binf") or header[:4] == b"\x00\x00\x00\x3f"):
        return None
    _, features, classes, _, _, major, minor = struct.unpack_from("<fIiiiII", header)
    if not 0 < features < 1 << 24 or not 0 <= classes < 1 << 20 or major > 3:
        return None
    version: Mapping[str, Any] = {"version": [major, minor]} if major else {}
    return {**version, "learner": {"learner_model_param": {"num_feature": features, "num_class": classes}}}
