"""One worker, one API server, the default way to stack what arrives together."""

from __future__ import annotations

import litserve

from served_model import MAX_BATCH, PORT, Numbers, load_predictor, rows_of


class Model(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.predictor = load_predictor()

    # No annotation: it would be taken for the type of the body; without one the decoded JSON comes.
    def decode_request(self, request):  # type: ignore[no-untyped-def]
        return rows_of(request["data"])

    def predict(self, batch: Numbers) -> Numbers:
        requests, rows, columns = batch.shape
        return self.predictor(batch.reshape(-1, columns)).reshape(requests, rows)

    def encode_response(self, output: Numbers) -> dict[str, list[float]]:
        return {"predictions": output.tolist()}


if __name__ == "__main__":
    api = Model(max_batch_size=MAX_BATCH, batch_timeout=0.001, api_path="/score")
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1, timeout=60, fast_queue=True)
    server.run(
        host="127.0.0.1",
        port=PORT,
        num_api_servers=1,
        log_level="warning",
        generate_client_file=False,
        access_log=False,
    )
