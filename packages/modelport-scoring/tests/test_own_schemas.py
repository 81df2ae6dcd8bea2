"""Schemas that parameter types of the script's own write as they like: v1's server copies them into its documents."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from inference_schema.parameter_types.abstract_parameter_type import AbstractParameterType
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType

from modelport_scoring import RevisionSettings, ServiceSettings
from modelport_scoring.inference_protocol.mapping import TensorMapping, map_tensors
from modelport_scoring.inference_protocol.model_config import describe_config
from modelport_scoring.inference_protocol.schemas import NoTensors
from modelport_scoring.openapi import Documents
from modelport_scoring.workers.contract import Contract, Parameter
from schema_cases import CASES, contract_of
from scoring_services import Services

REVISION = RevisionSettings(number=1, bundle="/none", interpreter=["python"])
SETTINGS = ServiceSettings(name="diabetes", workspace="w", revision=REVISION)
VERSIONS = ("2", "3", "3.1")
OWN_MAKING = "own making, of which no tensors"


class OwnType(AbstractParameterType):  # type: ignore[misc]
    """Writes the schema that it is given."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._schema = schema
        super().__init__(schema["example"])

    def input_to_swagger(self) -> dict[str, Any]:
        return dict(self._schema)  # the package takes the example out of it

    def deserialize_input(self, input_data: Any) -> Any:
        return input_data


ODD: dict[str, tuple[dict[str, Any], Any]] = {
    "several types": ({"type": ["integer", "null"]}, 1),
    "several types of elements": ({"type": "array", "items": {"type": ["integer", "null"]}}, [1]),
    "an element type for each place": ({"type": "array", "items": [{"type": "integer"}, {"type": "string"}]}, [1]),
    "any elements": ({"type": "array", "items": True}, [1]),
    "members as a list": ({"type": "object", "properties": ["a", "b"]}, {"a": 1}),
    "any member": ({"type": "object", "properties": {"a": True}}, {"a": 1}),
    "a format that is no text": ({"type": "integer", "format": 64}, 1),
    "no elements of a table": ({"type": "array", "format": "pandas.DataFrame:records"}, [{"a": 1}]),
    "no columns of a split table": ({"type": "object", "format": "pandas.DataFrame:split"}, {"index": [0]}),
    "sizes that are texts": ({"type": "array", "items": {"type": "integer"}, "minItems": "1", "maxItems": "1"}, [1]),
    "null": ({"type": None, "items": None, "properties": None}, None),
}


def documents(contract: Contract) -> Iterator[dict[str, Any]]:
    for version in VERSIONS:
        yield orjson.loads(Documents(SETTINGS, contract, supplied={}).get(version))


def service_input(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = (document.get("definitions") or document["components"]["schemas"])["ServiceInput"]
    return found


def query_of(document: dict[str, Any]) -> dict[str, Any]:
    """The schema of the only parameter of a query."""
    (parameter,) = document["paths"]["/score"]["get"]["parameters"]
    found: dict[str, Any] = parameter.get("schema", parameter)
    return found


def tensors(contract: Contract) -> TensorMapping | str:
    """The mapping, or why there is none."""
    try:
        return map_tensors(contract)
    except NoTensors as error:
        return str(error)


@pytest.mark.parametrize("name", ODD)
def test_an_odd_schema_is_told_as_it_is(name: str) -> None:
    schema, example = ODD[name]
    contract = contract_of({"data": OwnType({**schema, "example": example})})
    for document in documents(contract):
        described = service_input(document)["properties"]["data"]
        assert {key: described[key] for key in schema} == schema
        if not name.startswith("no "):  # of a table: minItems stands beside it
            assert described == schema
    found = tensors(contract)
    assert isinstance(found, str)


@pytest.mark.parametrize("name", ["several types", "any elements", "members as a list", "sizes that are texts"])
def test_why_an_odd_schema_has_no_tensors(name: str) -> None:
    schema, example = ODD[name]
    found = tensors(contract_of({"data": OwnType({**schema, "example": example})}))
    assert OWN_MAKING in str(found)


def test_an_odd_output_is_told_as_it_is() -> None:
    schema = {"type": ["integer", "null"], "example": 1}
    contract = contract_of({"data": StandardPythonParameterType(1)}, output=OwnType(schema))
    for document in documents(contract):
        outputs = (document.get("definitions") or document["components"]["schemas"])["ServiceOutput"]
        assert outputs == schema
    found = tensors(contract)
    assert isinstance(found, TensorMapping)
    assert found.describe_outputs() == []


def test_an_odd_member_leaves_the_others_as_they_are() -> None:
    odd, array = OwnType({"type": ["integer", "null"], "example": 1}), NumpyParameterType(np.array([1], dtype="int8"))
    contract = contract_of({"data": StandardPythonParameterType({"odd": odd, "array": array})})
    for document in documents(contract):
        members = service_input(document)["properties"]["data"]["properties"]
        assert members["odd"] == {"type": ["integer", "null"]}
        assert members["array"]["items"]["maximum"] == 127


@pytest.mark.parametrize(
    "schema",
    [
        {"oneOf": [{"type": "integer"}, {"type": "null"}]},
        {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1, "maximum": 5}}},
        {"type": "object", "properties": {"a": {"type": "string", "pattern": 'a"|b'}}},
        {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}},
        {"type": "weird"},
    ],
)
def test_a_query_has_no_pattern_of_what_none_of_ours_tells(schema: dict[str, Any]) -> None:
    for document in documents(contract_of({"data": OwnType({**schema, "example": None})})):
        assert "pattern" not in query_of(document)
        assert query_of(document)["type"] == "string"


def test_texts_of_a_query_need_no_escapes() -> None:
    document = next(documents(CASES["numpy bytes"]))
    pattern = query_of(document)["pattern"]
    assert re.search(pattern, '["a b~", "!#]["]')
    assert not re.search(pattern, '["a"b"]')
    assert not re.search(pattern, r'["a\b"]')


@pytest.mark.parametrize("depth", [10, 40, 100, 400])
def test_lists_in_lists_cost_no_more_than_they_are_deep(depth: int) -> None:
    """Each level doubles a pattern of them: 400 levels would need more memory than there is."""
    sample: Any = 1
    for _ in range(depth):
        sample = [sample]
    for document in documents(contract_of({"data": StandardPythonParameterType(sample)})):
        assert len(json.dumps(document)) < 200_000
        assert ("pattern" in query_of(document)) is (depth == 10)


def test_versions_that_exclude_each_other_leave_no_document() -> None:
    """As v1's server: a type may say itself which versions it has."""
    contract = Contract(input="json", parameters=[Parameter(name="data", required=True)], schemas={})
    with pytest.raises(LookupError, match=re.escape("Supported swagger versions: [].")):
        Documents(SETTINGS, contract, supplied={}).get("2")


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 10**20) | st.floats(allow_nan=False) | st.text("ab[$", max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["type", "items", "a"]), inner),
    max_leaves=4,
)
WORDS = st.sampled_from(["array", "object", "string", "integer", "numpy.ndarray", "int8", "timedelta", "binary"])
ORIENTS = st.sampled_from([f"pandas.DataFrame:{orient}" for orient in ("records", "values", "split", "index", "table")])


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all that is in it."""
    if path:
        yield path
    parts = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    for key, part in parts:
        yield from places(part, (*path, key))


@given(data=st.data(), name=st.sampled_from(sorted(CASES)))
def test_whatever_stands_in_a_schema_there_are_documents(data: st.DataObject, name: str) -> None:
    case = CASES[name]
    schemas = copy.deepcopy(next(iter(case.schemas.values())))
    root = {"properties": schemas["input"]["properties"], "output": schemas["output"]}
    choices = [path for path in places(root) if len(path) > 1]
    choices += [("example", key) for key in schemas["input"]["example"]]
    path = data.draw(st.sampled_from(choices))
    inner: Any = {**root, "example": schemas["input"]["example"]}
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = data.draw(JSON_VALUES | WORDS | ORIENTS)
    contract = Contract(input="json", parameters=case.parameters, schemas=dict.fromkeys(("2.0", "3.0", "3.1"), schemas))
    assert len(list(documents(contract))) == len(VERSIONS)
    found = tensors(contract)
    if isinstance(found, TensorMapping):
        orjson.dumps(describe_config(found, model="m", platform="p", versions=["1"]))
        orjson.dumps([found.describe_inputs(), found.describe_outputs()])


ODD_SCRIPT = """
from inference_schema.parameter_types.abstract_parameter_type import AbstractParameterType
from inference_schema.schema_decorators import input_schema

class Count(AbstractParameterType):
    def input_to_swagger(self):
        return {"type": ["integer", "null"], "example": 1}

    def deserialize_input(self, input_data):
        return input_data

def init():
    pass

@input_schema("count", Count(1))
def run(count):
    return count
"""


def test_a_service_with_an_odd_schema_answers_at_every_path(services: Services) -> None:
    service = services.start(ODD_SCRIPT)
    for version in VERSIONS:
        document = service.ask("GET", f"/swagger.json?version={version}")
        assert document.status == 200
        assert service_input(document.json)["properties"] == {"count": {"type": ["integer", "null"]}}
    scored = service.ask("POST", "/score", body='{"count": 3}', headers={"Content-Type": "application/json"})
    assert (scored.status, scored.body) == (200, b"3")
    metadata = service.ask("GET", f"/v2/models/{service.settings.name}")
    assert metadata.status == 400
    assert OWN_MAKING in metadata.json["error"]
    assert service.ask("GET", "/v2/health/ready").status == 200
