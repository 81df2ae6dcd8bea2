"""A service with one batchable API; bytes take a mounted ASGI application, as its documentation has it."""

from __future__ import annotations

from typing import Annotated, Any

import bentoml
import numpy as np
from bentoml.validators import DType, Shape
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from served_model import COLUMNS, MAX_BATCH, ROWS, SCRIPT, load_predictor

Rows = Annotated[np.ndarray, DType("float64"), Shape((-1, COLUMNS.get(SCRIPT, 1)))]
SERVICE: dict[str, Any] = {"workers": 1, "traffic": {"timeout": 60}, "logging": {"access": {"enabled": False}}}


async def echo(request: Request) -> Response:
    return Response(await request.body(), media_type="application/octet-stream")


class Model:
    def __init__(self) -> None:
        self.predictor = load_predictor()

    @bentoml.api(route="/score", batchable=True, max_batch_size=MAX_BATCH * ROWS.get(SCRIPT, 1), max_latency_ms=30_000)
    def predict(self, data: Rows) -> np.ndarray:
        return self.predictor(data)


class Echo:
    @bentoml.api
    def nothing(self) -> None:
        return None


if SCRIPT == "echo":
    application = Starlette(routes=[Route("/score", echo, methods=["POST"])])
    Bench = bentoml.asgi_app(application, path="/")(bentoml.service(**SERVICE)(Echo))
else:
    Bench = bentoml.service(**SERVICE)(Model)
