"""Serves an XGBoost booster. Made for a deployment without code: yours to change."""

import xgboost
from no_code_schema import model_path, read_facts
from no_code_tensors import TensorServer

FACTS = read_facts()


def init():
    global booster
    booster = xgboost.Booster()
    booster.load_model(model_path(FACTS))


def predict(signature, inputs, wanted):
    matrix = xgboost.DMatrix(inputs["data"], feature_names=booster.feature_names, feature_types=booster.feature_types)
    return {"predictions": booster.predict(matrix)}


server = TensorServer(FACTS, predict, misfits=(xgboost.core.XGBoostError, ValueError))


@server.decorate
def run(data=None, instances=None, inputs=None, signature_name=None, outputFilter=None):
    return server.answer(locals())


run_batch = server.answer_all
