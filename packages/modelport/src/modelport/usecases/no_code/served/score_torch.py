"""Serves a PyTorch model: TorchScript or torch.export. Made for a deployment without code: yours to change."""

import torch
from no_code_schema import model_path, read_facts
from no_code_tensors import TensorServer

FACTS = read_facts()


def init():
    global model
    if FACTS["is_script"]:
        model = torch.jit.load(model_path(FACTS), map_location="cpu").eval()
    else:
        model = torch.export.load(model_path(FACTS)).module()


def predict(signature, inputs, wanted):
    arguments = [torch.from_numpy(inputs[part["name"]]) for part in FACTS["signatures"][signature]["inputs"]]
    with torch.inference_mode():
        outputs = model(*arguments)
    if isinstance(outputs, dict):
        return {name: value.numpy() for name, value in outputs.items()}
    listed = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    names = wanted if len(wanted) == len(listed) else ["output_{}".format(number) for number in range(len(listed))]
    return {name: value.numpy() for name, value in zip(names, listed)}


server = TensorServer(FACTS, predict)


@server.decorate
def run(data=None, instances=None, inputs=None, signature_name=None, outputFilter=None):
    return server.answer(locals())


run_batch = server.answer_all
