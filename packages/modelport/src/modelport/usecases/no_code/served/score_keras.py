"""Serves a Keras model. Made for a deployment without code: yours to change."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf
from no_code_schema import model_path, read_facts
from no_code_tensors import TensorServer

FACTS = read_facts()


def init():
    global model
    model = tf.keras.models.load_model(model_path(FACTS), compile=False)


def predict(signature, inputs, wanted):
    values = [tf.constant(inputs[part["name"]]) for part in FACTS["signatures"][signature]["inputs"]]
    outputs = model(values[0] if len(values) == 1 else values, training=False)
    if isinstance(outputs, dict):
        return {name: outputs[name].numpy() for name in wanted}
    listed = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    return {name: value.numpy() for name, value in zip(wanted, listed)}


server = TensorServer(FACTS, predict, misfits=(tf.errors.InvalidArgumentError, ValueError))


@server.decorate
def run(data=None, instances=None, inputs=None, signature_name=None, outputFilter=None):
    return server.answer(locals())


run_batch = server.answer_all
