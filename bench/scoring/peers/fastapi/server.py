"""Raw bodies, orjson, numpy for shape and type; what is quick runs in the loop, what is slow in a thread."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import orjson
from fastapi import FastAPI, HTTPException, Request, Response
from numpy.typing import NDArray
from starlette.concurrency import run_in_threadpool

COLUMNS = {"ridge": 10, "wide": 784, "table": 30, "busy": 10}
COMPUTES_S = 0.020

SCRIPT = os.environ["BENCH_SCRIPT"]
MODEL_FILE = Path(os.environ["BENCH_MODEL"]) / "model.joblib"
model: Any = joblib.load(MODEL_FILE) if MODEL_FILE.exists() else None
app = FastAPI(openapi_url=None)


@app.get("/")
async def health() -> Response:
    return Response(b"Healthy", media_type="text/plain")


async def predict(request: Request) -> Response:
    return answer(model.predict(await rows_of(request)))


async def echo(request: Request) -> Response:
    return Response(await request.body(), media_type="application/octet-stream")


async def busy(request: Request) -> Response:
    return answer(await run_in_threadpool(compute, await rows_of(request)))


async def null(request: Request) -> Response:
    await request.body()
    return Response(b"1", media_type="application/json")


async def rows_of(request: Request) -> NDArray[np.float64]:
    try:
        rows = np.array(orjson.loads(await request.body())["data"], dtype=np.float64)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise HTTPException(422, str(error)) from error
    if rows.ndim != 2 or rows.shape[1] != COLUMNS[SCRIPT]:
        raise HTTPException(422, f"rows of {COLUMNS[SCRIPT]} numbers are expected")
    return rows


def compute(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    end = time.thread_time() + COMPUTES_S
    while time.thread_time() < end:
        pass
    return rows.sum(axis=1)


def answer(numbers: NDArray[np.float64]) -> Response:
    return Response(orjson.dumps(numbers.tolist()), media_type="application/json")


handlers = {"echo": echo, "busy": busy, "null": null}
app.post("/score")(handlers.get(SCRIPT, predict))
