"""A graph with one input, and one with two of different types and a batch that is fixed."""

import base64
import json

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

weights = np.array([[0.5, -1.0], [2.0, 0.25], [1.0, 1.0]], dtype="float32")


def save(name, nodes, inputs, outputs, constants):
    graph = helper.make_graph(nodes, name, inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], producer_name="test")
    model.ir_version = 8
    onnx.checker.check_model(model)
    onnx.save(model, name + ".onnx")


def expect(name, requests, metadata, inputs, outputs):
    case = {"requests": requests, "metadata": metadata, "inputs": inputs, "outputs": outputs}
    with open(name + ".expected.json", "w") as file:
        json.dump(case, file)


def protobuf(array, kind):
    raw = base64.b64encode(array.tobytes()).decode()
    return {"dims": [str(size) for size in array.shape], "dataType": kind, "rawData": raw}


x = helper.make_tensor_value_info("float_input", TensorProto.FLOAT, ["rows", 3])
y = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["rows", 2])
product = helper.make_node("MatMul", ["float_input", "weights"], ["scores"])
save("dense", [product], [x], [y], [numpy_helper.from_array(weights, "weights")])
rows = np.array([[1, 2, 3], [0.5, 0, -1]], dtype="float32")
scores = (rows @ weights).astype("float32")
answer = dict(protobuf(scores, 1), dataLocation="DEFAULT")
expect(
    "dense",
    [
        [{"data": rows.tolist()}, {"predictions": scores.tolist()}],
        [{"instances": rows.tolist()}, {"predictions": scores.tolist()}],
        [{"inputs": rows.tolist()}, {"outputs": scores.tolist()}],
        [{"inputs": {"float_input": rows.tolist()}}, {"outputs": scores.tolist()}],
        [
            {"inputs": {"float_input": protobuf(rows, 1)}, "outputFilter": ["scores"]},
            {"outputs": {"scores": answer}},
        ],
        [
            {"inputs": {"float_input": {"dims": [1, 3], "dataType": 1, "floatData": [1, 2, 3]}}},
            {"outputs": {"scores": dict(protobuf(scores[:1], 1), dataLocation="DEFAULT")}},
        ],
    ],
    [{"name": "float_input", "datatype": "FP32", "shape": [-1, 3]}],
    [{"name": "float_input", "datatype": "FP32", "shape": [2, 3], "data": rows.ravel().tolist()}],
    {"scores": scores.tolist()},
)

a = helper.make_tensor_value_info("a", TensorProto.FLOAT, ["rows", 3])
n = helper.make_tensor_value_info("n", TensorProto.INT64, ["rows"])
twice = helper.make_tensor_value_info("twice", TensorProto.FLOAT, ["rows", 3])
more = helper.make_tensor_value_info("more", TensorProto.INT64, ["rows"])
nodes = [helper.make_node("Add", ["a", "a"], ["twice"]), helper.make_node("Add", ["n", "one"], ["more"])]
save("pair", nodes, [a, n], [twice, more], [helper.make_tensor("one", TensorProto.INT64, [1], [1])])
expect(
    "pair",
    [
        [
            {"instances": [{"a": [1, 2, 3], "n": 7}, {"a": [0, 0, 0.5], "n": -1}]},
            {"predictions": [{"twice": [2, 4, 6], "more": 8}, {"twice": [0, 0, 1], "more": 0}]},
        ],
        [{"data": {"a": [[1, 2, 3]], "n": [7]}}, {"outputs": {"twice": [[2, 4, 6]], "more": [8]}}],
        [{"inputs": {"a": [[1, 2, 3]], "n": [7]}, "outputFilter": ["more"]}, {"outputs": [8]}],
    ],
    [{"name": "a", "datatype": "FP32", "shape": [-1, 3]}, {"name": "n", "datatype": "INT64", "shape": [-1]}],
    [
        {"name": "a", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3]},
        {"name": "n", "datatype": "INT64", "shape": [1], "data": [7]},
    ],
    {"twice": [[2, 4, 6]], "more": [8]},
)
