"""The entry script: init() once per worker, run() per request."""

import os

import joblib
import numpy as np
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.schema_decorators import input_schema, output_schema

ONE_PATIENT = np.array([[0.0380759, 0.0506801, 0.0616962, 0.0218724, -0.0442235, -0.0348208, -0.0434008, -0.0025923, 0.0199075, -0.0176461]])
ONE_PREDICTION = np.array([206.0])


def init():
    global model
    model = joblib.load(os.path.join(os.environ["AZUREML_MODEL_DIR"], "sklearn_regression_model.pkl"))


@input_schema("data", NumpyParameterType(ONE_PATIENT))
@output_schema(NumpyParameterType(ONE_PREDICTION))
def run(data):
    return model.predict(data).tolist()
