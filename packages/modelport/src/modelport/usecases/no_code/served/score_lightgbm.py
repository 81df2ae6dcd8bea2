"""Serves a LightGBM booster. Made for a deployment without code: yours to change."""

import lightgbm
from no_code_schema import model_path, read_facts
from no_code_tensors import TensorServer

FACTS = read_facts()


def init():
    global booster
    booster = lightgbm.Booster(model_file=model_path(FACTS))


def predict(signature, inputs, wanted):
    return {"predictions": booster.predict(inputs["data"])}


server = TensorServer(FACTS, predict, misfits=(lightgbm.basic.LightGBMError,))


@server.decorate
def run(data=None, instances=None, inputs=None, signature_name=None, outputFilter=None):
    return server.answer(locals())


run_batch = server.answer_all
