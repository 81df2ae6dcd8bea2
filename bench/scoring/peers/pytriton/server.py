"""One bound function; Triton concatenates what waits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

from served_model import COLUMNS, MAX_BATCH, PORT, ROWS, SCRIPT, Numbers, load_predictor

predictor = load_predictor() if SCRIPT != "echo" else None


@batch
def predict(input: Numbers) -> dict[str, Numbers]:
    assert predictor is not None
    return {"predict": predictor(input).reshape(-1, 1)}


@batch
def echo(input: NDArray[np.uint8]) -> dict[str, NDArray[np.uint8]]:
    return {"predict": input}


def main() -> None:
    kind, columns = (np.uint8, -1) if SCRIPT == "echo" else (np.float64, COLUMNS[SCRIPT])
    config = TritonConfig(
        http_address="127.0.0.1", http_port=PORT, allow_grpc=False, allow_metrics=False, log_verbose=0
    )
    with Triton(config=config) as triton:
        triton.bind(
            model_name="model",
            infer_func=echo if SCRIPT == "echo" else predict,
            inputs=[Tensor(name="input", dtype=kind, shape=(columns,))],
            outputs=[Tensor(name="predict", dtype=kind, shape=(-1,))],
            config=ModelConfig(batching=True, max_batch_size=MAX_BATCH * ROWS.get(SCRIPT, 1), batcher=DynamicBatcher()),
        )
        triton.serve()


if __name__ == "__main__":
    main()
