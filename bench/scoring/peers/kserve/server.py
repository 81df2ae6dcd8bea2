"""A custom model for KServe."""

from __future__ import annotations

import argparse

import numpy as np
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer, model_server
from kserve.utils.utils import generate_uuid

from served_model import SCRIPT, load_predictor, rows_of


class Bench(Model):
    def __init__(self) -> None:
        super().__init__("model")
        self.predictor = load_predictor() if SCRIPT != "echo" else None
        self.ready = True

    async def predict(
        self,
        payload: InferRequest,
        headers: dict[str, str] | None = None,
        response_headers: dict[str, str] | None = None,
    ) -> InferResponse:
        given = payload.inputs[0].as_numpy()
        answer = self.predictor(rows_of(given)) if self.predictor is not None else given
        datatype = "FP64" if answer.dtype == np.float64 else "UINT8"
        output = InferOutput(name="predict", shape=list(answer.shape), datatype=datatype)
        output.set_data_from_numpy(answer, binary_data=payload.use_binary_outputs)
        return InferResponse(
            response_id=generate_uuid(),
            model_name=self.name,
            infer_outputs=[output],
            use_binary_outputs=payload.use_binary_outputs,
        )


if __name__ == "__main__":
    arguments, _ = argparse.ArgumentParser(parents=[model_server.parser]).parse_known_args()
    server = ModelServer(
        http_port=arguments.http_port,
        enable_grpc=arguments.enable_grpc,
        workers=arguments.workers,
        enable_latency_logging=arguments.enable_latency_logging,
    )
    server.start([Bench()])
