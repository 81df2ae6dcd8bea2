"""The models of the workloads, trained here once, and a request with its right answer for each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.linear_model import Ridge

from bench.scoring.workloads import Sample, Workload

MODEL_FILE = "model.joblib"
WIDE = 784
TABLE_ROWS = 1000
SEED = 7

Numbers = NDArray[np.float64]


def make_models(folder: Path, workloads: list[Workload]) -> dict[str, Sample]:
    """Write ``<folder>/<script>/model.joblib`` for each workload that has a model; the samples by workload."""
    return {workload.key: make(workload, folder / workload.script) for workload in workloads}


def make(workload: Workload, folder: Path) -> Sample:
    if workload.body_bytes is not None:
        return echo(folder, workload.body_bytes)
    return MAKERS[workload.script](folder)


def ridge(folder: Path) -> Sample:
    data, target = load_diabetes(return_X_y=True)
    return trained(folder, data=np.round(data, 7), target=target, asked=np.round(data[:1], 7))


def wide(folder: Path) -> Sample:
    random = np.random.default_rng(SEED)
    data = np.round(random.random((500, WIDE)), 4)
    return trained(folder, data=data, target=data @ random.random(WIDE), asked=data[:1])


def table(folder: Path) -> Sample:
    """The breast-cancer data set, with its numbers as they were published, repeated to 1,000 rows."""
    data, target = load_breast_cancer(return_X_y=True)
    return trained(folder, data=data, target=target, asked=np.resize(data, (TABLE_ROWS, data.shape[1])))


def trained(folder: Path, *, data: Numbers, target: Any, asked: Numbers) -> Sample:
    model = Ridge(alpha=0.03).fit(data, target)
    folder.mkdir(parents=True, exist_ok=True)
    joblib.dump(model, folder / MODEL_FILE)
    return Sample(rows=asked.tolist(), binary=None, expected=model.predict(asked).tolist())


def echo(folder: Path, body_bytes: int) -> Sample:
    folder.mkdir(parents=True, exist_ok=True)
    body = np.random.default_rng(SEED).bytes(body_bytes)
    return Sample(rows=[], binary=body, expected=body)


def busy(folder: Path) -> Sample:
    """It answers the sum of each row, so that an answer can be told from another one's."""
    folder.mkdir(parents=True, exist_ok=True)
    row = [float(number) for number in range(10)]
    return Sample(rows=[row], binary=None, expected=[sum(row)])


def null(folder: Path) -> Sample:
    folder.mkdir(parents=True, exist_ok=True)
    return Sample(rows=[[1.0]], binary=None, expected=[1.0])


MAKERS: dict[str, Callable[[Path], Sample]] = {
    "ridge": ridge,
    "wide": wide,
    "table": table,
    "busy": busy,
    "null": null,
}
