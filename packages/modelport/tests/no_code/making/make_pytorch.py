"""The same network as TorchScript and as a program of torch.export, and its weights alone."""

import json

import torch

torch.manual_seed(0)


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.dense = torch.nn.Linear(3, 2)

    def forward(self, x):
        return torch.softmax(self.dense(x), 1)


model = Network().eval()
rows = torch.tensor([[1.0, 2, 3], [0.5, 0, -1]])
answer = model(rows).tolist()
torch.jit.script(model).save("scripted.pt")
torch.jit.trace(model, rows).save("traced.pt")
torch.jit.script(model).save("unknown.pt")  # registered without a sample, so that nobody knows its shapes
torch.save(model.state_dict(), "weights.pt")
batch = torch.export.Dim("batch", min=1, max=1024)
torch.export.save(torch.export.export(model, (rows,), dynamic_shapes={"x": {0: batch}}), "exported.pt2")
for name, output in (("scripted", "outputs"), ("traced", "outputs"), ("unknown", "outputs"), ("exported", "output_0")):
    case = {
        "requests": [
            [{"data": rows.tolist()}, {"predictions": answer}],
            [{"instances": rows.tolist()}, {"predictions": answer}],
            [{"inputs": {"x": rows.tolist()}}, {"outputs": answer}],
        ],
        "metadata": [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}],
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [2, 3], "data": rows.ravel().tolist()}],
        "outputs": {output: answer},
    }
    with open(name + ".expected.json", "w") as file:
        json.dump(case, file)
