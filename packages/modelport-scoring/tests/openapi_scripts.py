"""Entry scripts whose documents the tests read and put to the test, one for each way of taking a request."""

from __future__ import annotations

NUMPY = """
import numpy as np
from inference_schema.schema_decorators import input_schema, output_schema
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType

def init():
    pass

@input_schema("data", NumpyParameterType(np.array([[1.5, 2.0, 3.0]])))
@output_schema(NumpyParameterType(np.array([6.5])))
def run(data):
    return np.nan_to_num(data.clip(-1e300, 1e300)).sum(axis=1).tolist()
"""

PANDAS = """
import pandas as pd
from inference_schema.schema_decorators import input_schema, output_schema
from inference_schema.parameter_types.pandas_parameter_type import PandasParameterType
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType

SAMPLE = pd.DataFrame({"age": [63], "height": [1.75], "name": ["Ada"]})

def init():
    pass

@input_schema("data", PandasParameterType(SAMPLE))
@output_schema(StandardPythonParameterType([True]))
def run(data):
    return (data["age"] > 60).tolist()
"""

STANDARD = """
from inference_schema.schema_decorators import input_schema, output_schema
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType

def init():
    pass

@input_schema("words", StandardPythonParameterType(["a", "b"]))
@input_schema("options", StandardPythonParameterType({"upper": True, "limit": 3}))
@output_schema(StandardPythonParameterType({"count": 2}))
def run(words, options={"upper": False, "limit": 1}):
    return {"count": len(words)}
"""

POWER_BI = """
import pandas as pd
from inference_schema.schema_decorators import input_schema, output_schema
from inference_schema.parameter_types.pandas_parameter_type import PandasParameterType
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType

FRAME = PandasParameterType(pd.DataFrame({"x": [1], "y": [2.5]}))

def init():
    pass

@input_schema("GlobalParameters", StandardPythonParameterType(1.0))
@input_schema("Inputs", StandardPythonParameterType({"input1": FRAME}))
@output_schema(StandardPythonParameterType({"Results": [0.5]}))
def run(Inputs, GlobalParameters=1.0):
    return {"Results": Inputs["input1"]["x"].astype(float).tolist()}
"""

INPUT_ONLY = """
import numpy as np
from inference_schema.schema_decorators import input_schema
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType

def init():
    pass

@input_schema("data", NumpyParameterType(np.array([[1, 2]], dtype="int8")))
def run(data):
    return data.tolist()
"""

UNDECORATED = """
def init():
    pass

def run(data):
    return {"length": len(data)}
"""

RAW = """
from azureml.contrib.services.aml_request import AMLRequest, rawhttp
from azureml.contrib.services.aml_response import AMLResponse

def init():
    pass

@rawhttp
def run(request):
    return AMLResponse(request.method, 200)
"""

ALL = {
    "numpy": NUMPY,
    "pandas": PANDAS,
    "standard": STANDARD,
    "power_bi": POWER_BI,
    "input_only": INPUT_ONLY,
    "undecorated": UNDECORATED,
    "raw": RAW,
}
