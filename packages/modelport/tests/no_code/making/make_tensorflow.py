"""A SavedModel with two signatures, and Keras models in both kinds of file."""

import json

import numpy as np
import tensorflow as tf

tf.random.set_seed(0)


def expect(name, requests, metadata, inputs, outputs):
    case = {"requests": requests, "metadata": metadata, "inputs": inputs, "outputs": outputs}
    with open(name + ".expected.json", "w") as file:
        json.dump(case, file)


class Module(tf.Module):
    @tf.function(
        input_signature=[tf.TensorSpec([None, 2], tf.float32, name="x"), tf.TensorSpec([None], tf.string, name="who")]
    )
    def greet(self, x, who):
        return {"total": tf.reduce_sum(x, 1), "greeting": tf.strings.join(["hi ", who])}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def half_plus_two(self, x):
        return {"y": x / 2 + 2}


module = Module()
tf.saved_model.save(
    module, "saved", signatures={"serving_default": module.greet, "half_plus_two": module.half_plus_two}
)
expect(
    "saved",
    [
        [
            {"instances": [{"x": [1, 2], "who": "Ann"}, {"x": [3, 4], "who": {"b64": "Qm9i"}}]},
            {"predictions": [{"greeting": "hi Ann", "total": 3}, {"greeting": "hi Bob", "total": 7}]},
        ],
        [{"inputs": {"x": [[1, 2]], "who": ["Ann"]}}, {"outputs": {"greeting": ["hi Ann"], "total": [3]}}],
        [{"signature_name": "half_plus_two", "instances": [1.0, 2.0, 5.0]}, {"predictions": [2.5, 3.0, 4.5]}],
    ],
    [{"name": "who", "datatype": "BYTES", "shape": [-1]}, {"name": "x", "datatype": "FP32", "shape": [-1, 2]}],
    [
        {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]},
        {"name": "who", "datatype": "BYTES", "shape": [1], "data": ["Ann"]},
    ],
    {"greeting": ["hi Ann"], "total": [3]},
)

layers = [tf.keras.layers.Input((3,), name="features"), tf.keras.layers.Dense(2, activation="softmax", name="classes")]
model = tf.keras.Sequential(layers)
rows = np.array([[1, 2, 3], [0.5, 0, -1]], dtype="float32")
answer = model.predict(rows, verbose=0).tolist()
for name in ("model.keras", "model.h5"):
    model.save(name)
    expect(
        name.replace(".", "_"),
        [
            [{"data": rows.tolist()}, {"predictions": answer}],
            [{"inputs": {"features": rows.tolist()}}, {"outputs": answer}],
        ],
        [{"name": "features", "datatype": "FP32", "shape": [-1, 3]}],
        [{"name": "features", "datatype": "FP32", "shape": [2, 3], "data": rows.ravel().tolist()}],
        {"outputs": answer},
    )
