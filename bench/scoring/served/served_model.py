"""The models as a peer's server loads them: rows in, numbers out. The harness puts this folder on its PYTHONPATH."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Predictor = Callable[[Numbers], Numbers]

SCRIPT = os.environ.get("BENCH_SCRIPT", "")
MODEL_FILE = Path(os.environ.get("BENCH_MODEL", "")) / "model.joblib"
PORT = int(os.environ.get("BENCH_PORT", "0"))
COLUMNS = {"ridge": 10, "wide": 784, "table": 30, "busy": 10, "null": 1}
ROWS = {"table": 1000}
COMPUTES_S = 0.020
MAX_BATCH = 64
"""Requests that are scored together at most, where a peer batches."""


def load_predictor() -> Predictor:
    """The one that this server is asked to serve."""
    if SCRIPT == "busy":
        return compute
    if SCRIPT == "null":
        return constant
    model: Any = joblib.load(MODEL_FILE)
    return lambda rows: np.asarray(model.predict(rows))


def compute(rows: Numbers) -> Numbers:
    """20 ms of this thread's own time for each call, however many rows it has."""
    end = time.thread_time() + COMPUTES_S
    while time.thread_time() < end:
        pass
    return np.asarray(rows.sum(axis=1))


def constant(rows: Numbers) -> Numbers:
    return np.ones(len(rows))


def rows_of(value: Any) -> Numbers:
    """The rows as an array. Raises ValueError where they are not what the model takes."""
    rows = np.asarray(value, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] != COLUMNS[SCRIPT]:
        raise ValueError(f"rows of {COLUMNS[SCRIPT]} numbers are expected")
    return rows
