"""Models of our own for MLServer."""

from __future__ import annotations

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.handlers import custom_handler
from mlserver.types import InferenceRequest, InferenceResponse
from starlette.requests import Request
from starlette.responses import Response

from served_model import load_predictor, rows_of


class Model(MLModel):
    async def load(self) -> bool:
        self.predictor = load_predictor()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        rows = rows_of(self.decode(payload.inputs[0], default_codec=NumpyCodec))
        output = NumpyCodec.encode_output("predict", self.predictor(rows))
        return InferenceResponse(model_name=self.name, outputs=[output])


class Echo(MLModel):
    async def load(self) -> bool:
        return True

    @custom_handler(rest_path="/echo")
    async def echo(self, request: Request) -> Response:
        return Response(await request.body(), media_type="application/octet-stream")
