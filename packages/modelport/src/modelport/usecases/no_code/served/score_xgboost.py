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


server = TensorServer(FACTS, predict)


@server.decorate
def run(data=None, instances=None, inputs=None, signature_name=None, outputFilter=None):
    return server.answer(
        {
            "data": data,
            "instances": instances,
            "inputs": inputs,
            "signature_name": signature_name,
            "outputFilter": outputFilter,
        }
    )


def run_batch(requests):
    return server.answer_all(requests)
