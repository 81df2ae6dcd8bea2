"""Serves an ONNX model with ONNX Runtime. Made for a deployment without code: yours to change."""

import numpy as np
import onnxruntime
from no_code_schema import model_path, read_facts
from no_code_tensors import TensorServer
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument

FACTS = read_facts()


def init():
    global session
    available = onnxruntime.get_available_providers()
    providers = [name for name in ("CUDAExecutionProvider", "CPUExecutionProvider") if name in available]
    session = onnxruntime.InferenceSession(model_path(FACTS), providers=providers)


def predict(signature, inputs, wanted):
    values = {name: as_text(array) if array.dtype == object else array for name, array in inputs.items()}
    return dict(zip(wanted, session.run(wanted, values)))


def as_text(array):
    """Texts of ONNX Runtime are str."""
    texts = [element.decode("utf-8") for element in array.ravel()]
    return np.array(texts, dtype=object).reshape(array.shape)


server = TensorServer(FACTS, predict, misfits=(InvalidArgument,))


@server.decorate
def run(data=None, instances=None, inputs=None, signature_name=None, outputFilter=None):
    return server.answer(locals())


run_batch = server.answer_all
