"""A deployment of one replica. A batch is what has arrived; it waits for no more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray import serve
from ray.serve.schema import LoggingConfig
from starlette.requests import Request
from starlette.responses import Response

from served_model import MAX_BATCH, PORT, SCRIPT, Numbers, load_predictor, rows_of


@serve.deployment(num_replicas=1, max_ongoing_requests=2 * MAX_BATCH)
class Model:
    def __init__(self) -> None:
        self.predictor = load_predictor()

    @serve.batch(max_batch_size=MAX_BATCH, batch_wait_timeout_s=0.0)
    async def predict(self, requests: list[Numbers]) -> list[list[float]]:
        answers = self.predictor(np.concatenate(requests))
        parts = np.split(answers, np.cumsum([len(rows) for rows in requests])[:-1])
        return [part.tolist() for part in parts]

    async def __call__(self, request: Request) -> list[float]:
        body = await request.json()
        answer: list[float] = await self.predict(rows_of(body["data"]))
        return answer


@serve.deployment(num_replicas=1, max_ongoing_requests=2 * MAX_BATCH)
class Echo:
    async def __call__(self, request: Request) -> Response:
        return Response(await request.body(), media_type="application/octet-stream")


def main() -> None:
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, _temp_dir=str(Path.cwd() / "ray"))
    serve.start(
        http_options={"host": "127.0.0.1", "port": PORT},
        logging_config=LoggingConfig(enable_access_log=False, log_level="WARNING"),
    )
    deployment: Any = Echo if SCRIPT == "echo" else Model
    serve.run(deployment.bind(), route_prefix="/score", blocking=True)


if __name__ == "__main__":
    main()
