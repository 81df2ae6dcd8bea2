"""Serves a TensorFlow SavedModel. Made for a deployment without code: yours to change."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf
from no_code_schema import model_path, read_facts
from no_code_tensors import TensorServer

FACTS = read_facts()
IS_FIRST = tf.__version__.startswith("1.")
"""TensorFlow 1 runs a graph in a session; 2 calls a function."""


def init():
    global model
    if IS_FIRST:
        model = tf.Session(graph=tf.Graph())
        with model.graph.as_default():
            tf.saved_model.loader.load(model, [tf.saved_model.tag_constants.SERVING], model_path(FACTS))
    else:
        model = tf.saved_model.load(model_path(FACTS), tags=None)


def predict(signature, inputs, wanted):
    if IS_FIRST:
        parts = FACTS["signatures"][signature]
        tensors = {part["name"]: part["tensor"] for part in parts["inputs"] + parts["outputs"]}
        feed = {tensors[name]: value for name, value in inputs.items()}
        return model.run({name: tensors[name] for name in wanted}, feed_dict=feed)
    function = model.signatures[signature]
    outputs = function(**{name: tf.constant(value) for name, value in inputs.items()})
    return {name: outputs[name].numpy() for name in wanted}


server = TensorServer(FACTS, predict, misfits=(tf.errors.InvalidArgumentError,))


@server.decorate
def run(data=None, instances=None, inputs=None, signature_name=None, outputFilter=None):
    return server.answer(locals())


run_batch = server.answer_all
