"""Serves a PyTorch model: TorchScript or torch.export. Made for a deployment without code: yours to change."""

import torch
from no_code_answers import BadRequest
from no_code_schema import model_path, read_facts
from no_code_tensors import TensorServer

FACTS = read_facts()
MISFITS = (RuntimeError, IndexError, ValueError, AssertionError)
"""What PyTorch raises for shapes, types and indices that do not fit; the last, for the guards of torch.export."""


def init():
    global model
    if FACTS["is_script"]:
        model = torch.jit.load(model_path(FACTS), map_location="cpu").eval()
    else:
        model = torch.export.load(model_path(FACTS)).module()


def predict(signature, inputs, wanted):
    arguments = [torch.from_numpy(inputs[part["name"]]) for part in FACTS["signatures"][signature]["inputs"]]
    try:
        with torch.inference_mode():
            outputs = model(*arguments)
    except MISFITS as error:
        if is_short_of_memory(error):
            raise
        raise BadRequest("The model cannot take this: {}".format(reason(error)))
    if isinstance(outputs, dict):
        return {name: value.numpy() for name, value in outputs.items()}
    listed = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    names = wanted if len(wanted) == len(listed) else ["output_{}".format(number) for number in range(len(listed))]
    return {name: value.numpy() for name, value in zip(names, listed)}


def is_short_of_memory(error):
    """Of this machine, whatever the request: PyTorch has no class of its own for it on a CPU."""
    return any(words in str(error) for words in ("allocate memory", "out of memory"))


def reason(error):
    """The last line: TorchScript puts its own traceback, with the model's code, before it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    text = lines[-1] if "TorchScript" in lines[0] else lines[0]
    return text.partition("RuntimeError: ")[2] or text


server = TensorServer(FACTS, predict)


@server.decorate
def run(data=None, instances=None, inputs=None, signature_name=None, outputFilter=None):
    return server.answer(locals())


run_batch = server.answer_all
