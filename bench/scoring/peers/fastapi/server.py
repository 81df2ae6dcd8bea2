"""Raw bodies, orjson, numpy for shape and type; what is quick runs in the loop, what is slow in a thread."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import FastAPI, HTTPException, Request, Response
from starlette.concurrency import run_in_threadpool

from served_model import SCRIPT, Numbers, load_predictor, rows_of

predictor: Any = load_predictor() if SCRIPT != "echo" else None
app = FastAPI(openapi_url=None)


@app.get("/")
async def health() -> Response:
    return Response(b"Healthy", media_type="text/plain")


async def predict(request: Request) -> Response:
    return answer(predictor(await read_rows(request)))


async def echo(request: Request) -> Response:
    return Response(await request.body(), media_type="application/octet-stream")


async def busy(request: Request) -> Response:
    return answer(await run_in_threadpool(predictor, await read_rows(request)))


async def null(request: Request) -> Response:
    await request.body()
    return Response(b"1", media_type="application/json")


async def read_rows(request: Request) -> Numbers:
    try:
        return rows_of(orjson.loads(await request.body())["data"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise HTTPException(422, str(error)) from error


def answer(numbers: Numbers) -> Response:
    return Response(orjson.dumps(numbers.tolist()), media_type="application/json")


handlers = {"echo": echo, "busy": busy, "null": null}
app.post("/score")(handlers.get(SCRIPT, predict))
