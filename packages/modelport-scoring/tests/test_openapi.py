"""The OpenAPI documents by themselves: their shape, their validity, and what they say of each kind of sample."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import numpy as np
import openapi_spec_validator
import orjson
import pandas as pd
import pytest
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.parameter_types.pandas_parameter_type import PandasParameterType
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
from inference_schema.schema_decorators import input_schema

from modelport_scoring import RevisionSettings, ServiceSettings
from modelport_scoring.openapi import Documents, NoSuchDocument, describe, find_user_documents
from modelport_scoring.openapi.timedeltas import TIMEDELTA_PATTERNS
from modelport_scoring.serving.routes import asked_version
from modelport_scoring.settings.service import AuthSettings, ErrorMode, TokenSettings
from modelport_scoring.workers.contract import Contract, Parameter
from schema_cases import CASES, FRAME, ORIENTS, contract_of

SCHEMA: dict[str, Any] = {
    "input": {"type": "object", "properties": {"data": {"type": "string"}}, "example": {"data": "a"}},
    "output": {"type": "array", "items": {"type": "object"}, "example": [{}]},
}
TEXT = Contract(input="text", parameters=[Parameter(name="data", required=True)])
RAW = Contract(input="raw", parameters=[Parameter(name="request", required=True)])
VERSIONS = ["2", "3", "3.1"]
CONTRACTS = {**CASES, "undecorated": TEXT, "raw": RAW}

EXAMPLE_QUIRKS = {"numpy bool", "numpy object"}
"""The package writes the elements of these as Python does, as texts (reference, 5.11)."""


def settings(**more: Any) -> ServiceSettings:
    revision = RevisionSettings(number=1, bundle="/none", interpreter=["python"])
    return ServiceSettings(name="diabetes", workspace="w", revision=revision, **more)


def documents(schemas: dict[str, Any], *, supplied: dict[str, bytes] | None = None, **more: Any) -> Documents:
    parameters = [Parameter(name="data", required=True)]
    contract = Contract(input="json" if schemas else "text", parameters=parameters, schemas=schemas)
    return Documents(settings(**more), contract, supplied=supplied or {})


def definitions(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document.get("definitions") or document["components"]["schemas"]
    return found


def operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in document["paths"].values():
        yield from path.values()


def made_documents() -> list[Any]:
    return [
        pytest.param(contract, version, id=f"{name}, {version}")
        for name, contract in CONTRACTS.items()
        for version in VERSIONS
        if not contract.schemas or f"{float(version):.1f}" in contract.schemas
    ]


# --- shape ------------------------------------------------------------------------------------------------------------


def test_the_shape_of_swagger_2() -> None:
    found = documents({"2.0": SCHEMA}, path_prefix="/api/v1/service/diabetes/", version="7").get(None)
    document = orjson.loads(found)
    assert document["swagger"] == "2.0"
    assert document["info"] == {
        "title": "diabetes",
        "description": "API specification for the Azure Machine Learning service diabetes",
        "version": "7",
    }
    assert document["schemes"] == ["https"]
    assert document["consumes"] == document["produces"] == ["application/json"]
    bearer = {"type": "apiKey", "name": "Authorization", "in": "header", "description": "For example: Bearer abc123"}
    assert document["securityDefinitions"] == {"Bearer": bearer}
    prefix = "/api/v1/service/diabetes"
    assert set(document["paths"]) == {f"{prefix}/", f"{prefix}/score", f"{prefix}/swagger.json"}
    health = document["paths"][f"{prefix}/"]["get"]
    assert health["operationId"] == "ServiceHealthCheck"
    assert health["responses"]["200"]["schema"] == {"type": "string"}
    assert health["responses"]["200"]["examples"] == {"application/json": "Healthy"}
    assert "text/html" in health["produces"]
    specification = document["paths"][f"{prefix}/swagger.json"]["get"]
    assert specification["operationId"] == "GetSwaggerSpec"
    version = {"name": "version", "in": "query", "required": False, "type": "integer", "enum": [2, 3]}
    assert specification["parameters"] == [version]


def test_the_shape_of_scoring_in_swagger_2() -> None:
    auth = AuthSettings(enabled=True, key_digests=["0" * 64])
    document = orjson.loads(documents({"2.0": SCHEMA}, auth=auth).get("2.0"))
    score = document["paths"]["/score"]["post"]
    assert score["operationId"] == "RunMLService"
    assert score["security"] == [{"Bearer": []}]
    (parameter,) = score["parameters"]
    assert parameter["name"] == "serviceInputPayload"
    assert parameter["in"] == "body"
    assert parameter["schema"] == {"$ref": "#/definitions/ServiceInput"}
    assert score["responses"]["200"]["schema"] == {"$ref": "#/definitions/ServiceOutput"}
    assert score["responses"]["default"]["schema"] == {"$ref": "#/definitions/ErrorResponse"}
    assert document["definitions"]["ServiceInput"] == {**SCHEMA["input"], "required": ["data"]}
    assert document["definitions"]["ServiceOutput"] == SCHEMA["output"]
    assert all(operation["tags"] for operation in operations(document))


@pytest.mark.parametrize(("asked", "specification"), [("3", "3.0.3"), ("3.0", "3.0.3"), ("3.1", "3.1.0")])
def test_the_shape_of_openapi_3(asked: str, specification: str) -> None:
    document = orjson.loads(documents({"3.0": SCHEMA, "3.1": SCHEMA}).get(asked))
    assert document["openapi"] == specification
    assert document["components"]["schemas"]["ServiceInput"] == {**SCHEMA["input"], "required": ["data"]}
    assert "Bearer" in document["components"]["securitySchemes"]
    score = document["paths"]["/score"]["post"]
    body = score["requestBody"]["content"]["application/json"]
    assert body["schema"] == {"$ref": "#/components/schemas/ServiceInput"}
    assert {"200", "400", "413", "415", "431", "500", "502", "503", "504", "default"} == set(score["responses"])


@pytest.mark.parametrize(("contract", "version"), made_documents())
def test_every_document_is_valid(contract: Contract, version: str) -> None:
    openapi_spec_validator.validate(describe(settings(), contract, version=version))


@pytest.mark.parametrize("sample", [{}, {"inner": {}, "required": [{}]}, [{}], [[{}]]])
@pytest.mark.parametrize("version", ["2", "3", "3.1"])
def test_a_sample_that_is_empty_has_a_valid_document(version: str, sample: Any) -> None:
    """The package writes an empty ``required``, which tools refuse."""
    contract = contract_of({"data": StandardPythonParameterType(sample)}, output=StandardPythonParameterType(sample))
    document = describe(settings(), contract, version=version)
    openapi_spec_validator.validate(document)
    described = definitions(document)["ServiceInput"]
    assert described["required"] == ["data"]
    if isinstance(sample, dict) and sample:
        assert described["properties"]["data"]["required"] == list(sample)


# --- what is told of a service ----------------------------------------------------------------------------------------


TOKEN = TokenSettings(issuer="w", audience="diabetes", keys=[])
NOBODY = AuthSettings()
LOCKED = [AuthSettings(enabled=True, key_digests=["0" * 64]), AuthSettings(token=TOKEN)]


@pytest.mark.parametrize("auth", [NOBODY, *LOCKED])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_key_is_demanded_only_where_the_service_does(version: str, auth: AuthSettings) -> None:
    paths = describe(settings(auth=auth), CASES["numpy float64"], version=version)["paths"]
    expected: list[dict[str, list[str]]] = [{"Bearer": []}] if auth in LOCKED else [{"Bearer": []}, {}]
    assert paths["/score"]["post"]["security"] == paths["/score"]["get"]["security"] == expected
    assert paths["/swagger.json"]["get"]["security"] == expected
    assert "security" not in paths["/"]["get"]


@pytest.mark.parametrize("contract", [CASES["numpy float64"], TEXT, RAW])
def test_denials_are_described_where_they_happen(contract: Contract) -> None:
    for auth in (NOBODY, *LOCKED):
        responses = describe(settings(auth=auth), contract, version="3")["paths"]["/score"]["post"]["responses"]
        assert ({"401", "403"} <= set(responses)) is (auth in LOCKED)
        if auth in LOCKED:
            assert responses["401"]["headers"]["WWW-Authenticate"]["required"] is True


@pytest.mark.parametrize(
    ("mode", "status", "types"),
    [
        (ErrorMode.CLOUD, "502", {"text/html"}),
        (ErrorMode.CONTAINER, "500", {"text/html", "application/json"}),
        (ErrorMode.JSON, "500", {"application/json"}),
    ],
)
def test_a_failing_script_is_told_of_by_the_error_mode(mode: ErrorMode, status: str, types: set[str]) -> None:
    document = describe(settings(error_mode=mode), CASES["numpy float64"], version="3")
    assert set(document["paths"]["/score"]["post"]["responses"][status]["content"]) == types
    responses = describe(settings(error_mode=mode), CASES["numpy float64"], version="2")["paths"]["/score"]["post"]
    assert (status in responses["responses"]) is ("text/html" in types)
    assert ("text/html" in responses.get("produces", [])) is ("text/html" in types)


def test_undecorated_scripts_get_an_honest_document() -> None:
    document = describe(settings(), TEXT, version="2")
    empty = {"type": "object", "example": {}}
    assert definitions(document)["ServiceInput"] == definitions(document)["ServiceOutput"] == empty
    score = document["paths"]["/score"]["post"]
    assert "declares no schema" in score["description"]
    assert score["consumes"] == ["application/json", "text/plain"]
    assert score["parameters"][0]["schema"] == score["responses"]["200"]["schema"] == {}
    content = describe(settings(), TEXT, version="3")["paths"]["/score"]["post"]["requestBody"]
    assert content["required"] is False


@pytest.mark.parametrize("version", VERSIONS)
def test_what_a_script_returns_is_promised_only_where_it_declares_it(version: str) -> None:
    """The package's schema of no sample is that of an object, whatever is returned."""
    array = NumpyParameterType(np.array([1.5]))
    for output, promised in ((None, False), (array, True), (StandardPythonParameterType({}), True)):
        document = describe(settings(), contract_of({"data": array}, output=output), version=version)
        for method in ("get", "post"):
            answer = document["paths"]["/score"][method]["responses"]["200"]
            schema = answer["schema"] if version == "2" else answer["content"]["application/json"]["schema"]
            assert bool(schema) is promised
        assert definitions(document)["ServiceOutput"]["type"] == ("array" if output is array else "object")


def test_raw_scripts_take_and_answer_anything() -> None:
    document = describe(settings(), RAW, version="3.1")
    for method in ("get", "post"):
        answers = document["paths"]["/score"][method]["responses"]
        assert set(answers["200"]["content"]) == set(answers["default"]["content"]) == {"*/*"}
    assert set(document["paths"]["/score"]["post"]["requestBody"]["content"]) == {"*/*"}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_query_carries_the_parameters_as_json(version: str) -> None:
    document = describe(settings(), CASES["several parameters"], version=version)
    first, second = document["paths"]["/score"]["get"]["parameters"]
    assert (first["name"], first["required"], second["required"]) == ("first", True, False)
    first, second = (first, second) if version == "2" else (first["schema"], second["schema"])
    assert first["type"] == "integer"
    assert second["type"] == "string"
    assert re.search(second["pattern"], "[1.5, -2]")
    assert not re.search(second["pattern"], "[1.5, a]")


@pytest.mark.parametrize(("name", "contract"), CASES.items(), ids=CASES)
def test_an_example_is_a_value_of_a_query_too(name: str, contract: Contract) -> None:
    """As Python writes JSON, and without spaces; but for examples that are no values, and moments with zones."""
    document = describe(settings(), contract, version="3")
    example = definitions(document)["ServiceInput"]["example"]
    odd = name in EXAMPLE_QUIRKS or any(
        word in name for word in ("datetime", "time", "mixed", "values", "split", "table")
    )
    for parameter in document["paths"]["/score"]["get"]["parameters"]:
        pattern = parameter["schema"].get("pattern", "")
        for separators in ((", ", ": "), (",", ":")):
            text = json.dumps(example[parameter["name"]], separators=separators)
            assert odd or re.search(pattern, text), (pattern, text)


def test_a_large_sample_has_no_pattern() -> None:
    contract = contract_of({"image": NumpyParameterType(np.zeros((1, 28, 28)))})
    (parameter,) = describe(settings(), contract, version="3")["paths"]["/score"]["get"]["parameters"]
    assert parameter["schema"] == {"type": "string"}


# --- samples ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "contract"), CASES.items(), ids=CASES)
def test_an_example_keeps_to_its_schema(name: str, contract: Contract) -> None:
    """But for the formats of moments, which the package does not write as the standard has them (reference, 5.11)."""
    described = definitions(describe(settings(), contract, version="3"))["ServiceInput"]
    validator = jsonschema_rs.Draft4Validator(described, validate_formats=False)
    assert validator.is_valid(described["example"]) is (name not in EXAMPLE_QUIRKS)


@pytest.mark.parametrize(("name", "contract"), CASES.items(), ids=CASES)
def test_nothing_of_the_packages_schema_is_changed(name: str, contract: Contract) -> None:
    """Beside the type of what is of several types in the sample: the package names the last one's alone."""
    written = contract.schemas["3.0"]["input"]
    described = definitions(describe(settings(), contract, version="3"))["ServiceInput"]
    mixed = name in ("standard mixed list", "pandas values", "pandas split", "pandas missing values")
    assert holds(described, written) is not mixed


def holds(larger: Any, smaller: Any) -> bool:
    """Whether all that ``smaller`` says is in ``larger`` too."""
    if isinstance(smaller, dict):
        return isinstance(larger, dict) and all(key in larger and holds(larger[key], smaller[key]) for key in smaller)
    return bool(larger == smaller)


MATRIX = NumpyParameterType(np.array([[1, 2, 3]], dtype="int8"))


@pytest.mark.parametrize(
    "body",
    [
        [[1, 2, 3]],
        [[1, 2, 3], [-128, 127, 0]],
        [],
        [[]],
        [[1, 2]],
        [[1, 2, 3, 4]],
        [1, 2, 3],
        [[[1, 2, 3]]],
        [[1, 2, 300]],
        {"a": 1},
        "text",
    ],
)
def test_an_array_is_described_as_the_package_takes_it(body: Any) -> None:
    assert is_described(body, MATRIX) is is_taken(body, MATRIX)


@pytest.mark.parametrize(
    "rows",
    [
        [{"count": 1, "share": 0.5}],
        [{"count": 1, "share": 0.5}, {"count": 2, "share": 1}],
        [],
        [{"count": 1}],
        [{"count": 2**31, "share": 1.0}],
    ],
)
def test_structured_arrays_are_described_as_the_package_takes_them(rows: Any) -> None:
    structured = NumpyParameterType(np.array([(1, 2.5)], dtype=[("count", "int32"), ("share", "float64")]))
    assert is_described(rows, structured) is is_taken(rows, structured)


@pytest.mark.parametrize("text", ["3 days", "-3 days", "3", "days", "3 fortnights"])
def test_timedeltas_are_described_as_the_package_takes_them(text: str) -> None:
    delta = NumpyParameterType(np.array([3], dtype="timedelta64[D]"))
    assert is_described([text], delta) is is_taken([text], delta)


@pytest.mark.parametrize("unit", ["Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as"])
def test_timedeltas_have_units_that_are_not_too_far_from_the_arrays(unit: str) -> None:
    delta = NumpyParameterType(np.array([3], dtype=f"timedelta64[{unit}]"))
    for name in TIMEDELTA_PATTERNS:
        assert is_described([f"1 {name}"], delta) is is_taken([f"1 {name}"], delta), name


@pytest.mark.parametrize(
    "body", [[[{"a": 1}]], [[{"a": 1}], [{"a": 2}]], [], [[]], [[{"a": 1, "b": 2}]], [[{"b": 1, "c": 2}]], [{"a": 1}]]
)
def test_frames_in_a_list_are_described_as_the_package_takes_them(body: Any) -> None:
    frames = StandardPythonParameterType([PandasParameterType(pd.DataFrame({"a": [1]}))])
    assert is_described(body, frames) is is_converted(body, frames)


@pytest.mark.parametrize("body", [[[1, 2]], [[1, 2], [3, 4]], [], [[]], [[1, 300]], [[[1, 2]]], [1]])
def test_arrays_in_a_list_are_described_as_the_package_takes_them(body: Any) -> None:
    arrays = StandardPythonParameterType([NumpyParameterType(np.array([1, 2], dtype="int8"))])
    assert is_described(body, arrays) is is_converted(body, arrays)


@pytest.mark.parametrize("orient", ["records", "values"])
@pytest.mark.parametrize("columns", [0, 2, 4, 5, 6])
def test_a_frame_has_as_many_columns_as_its_sample(orient: str, columns: int) -> None:
    frame = PandasParameterType(FRAME, orient=orient, enforce_column_type=False)
    row = [1, 1.5, "a", True, "2020-01-01T00:00:00Z", 1][:columns]
    names = [*FRAME.columns, "another"]
    body = [dict(zip(names, row, strict=False)) if orient == "records" else row]
    assert is_described(body, frame) is is_taken(body, frame) is (columns == len(FRAME.columns))


@pytest.mark.parametrize("body", [[[1, 2]], [[1, 2, 3]], [[1, 2, 3], [4, 5, 6]], [[1]], [[300, 1]], []])
@pytest.mark.parametrize("enforce_shape", [True, False])
def test_a_shape_is_promised_only_where_it_is_enforced(body: Any, enforce_shape: bool) -> None:
    array = NumpyParameterType(np.array([[1, 2]], dtype="uint8"), enforce_shape=enforce_shape)
    assert is_described(body, array) is is_taken(body, array)


@pytest.mark.parametrize("orient", ["records", "values"])
def test_columns_are_promised_only_where_they_are_enforced(orient: str) -> None:
    table = pd.DataFrame({"a": [1], "b": [2]})
    row: Any = {"a": 1, "b": 2, "c": 3} if orient == "records" else [1, 2, 3]
    for enforce_shape in (True, False):
        frame = PandasParameterType(table, orient=orient, enforce_shape=enforce_shape)
        assert is_described([row], frame) is is_taken([row], frame) is not enforce_shape


def test_ranges_are_promised_only_where_types_are_enforced() -> None:
    for enforce in (True, False):
        array = NumpyParameterType(np.array([[1, 2]], dtype="uint8"), enforce_column_type=enforce)
        assert is_described([[300, 1]], array) is is_taken([[300, 1]], array) is not enforce


@pytest.mark.parametrize("orient", ORIENTS)
def test_each_orient_is_described_with_its_mark(orient: str) -> None:
    described = definitions(describe(settings(), CASES[f"pandas {orient}"], version="3"))["ServiceInput"]
    assert described["properties"]["data"]["format"] == f"pandas.DataFrame:{orient}"


def is_described(body: Any, sample: Any) -> bool:
    described = definitions(describe(settings(), contract_of({"data": sample}), version="3"))["ServiceInput"]
    return bool(jsonschema_rs.Draft4Validator(described, validate_formats=False).is_valid({"data": body}))


def is_converted(body: Any, sample: Any) -> bool:
    """The same for samples that hold others, which the decorator converts."""
    run = input_schema("data", sample)(lambda data: True)
    try:
        return bool(run(data=copy.deepcopy(body)))
    except Exception:
        return False


def is_taken(body: Any, sample: Any) -> bool:
    try:
        sample.deserialize_input(orjson.loads(orjson.dumps(body)))
    except Exception:
        return False
    return True


@pytest.mark.parametrize("version", VERSIONS)
def test_integers_of_any_size_are_written(version: str) -> None:
    contract = contract_of({"data": StandardPythonParameterType({"wei": 10**30})})
    found = json.loads(Documents(settings(), contract, supplied={}).get(version))
    assert definitions(found)["ServiceInput"]["example"] == {"data": {"wei": 10**30}}


# --- which document ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", ["9", "2.1", "x", ""])
def test_unknown_versions(asked: str) -> None:
    with pytest.raises(NoSuchDocument) as raised:
        documents({"2.0": SCHEMA, "3.0": SCHEMA, "3.1": SCHEMA}).get(asked)
    assert str(raised.value) == f"Swagger version [{asked}] is not valid. Supported versions: [2, 3, 3.1]."


def test_a_version_is_named_as_it_was_asked_for_and_beside_those_that_the_script_has() -> None:
    for asked, supplied, expected in [
        ("9", {}, "Swagger version [9] is not valid. Supported versions: [3, 3.1]."),
        ("9", {"2": b"{}"}, "Swagger version [9] is not valid. Supported versions: [2, 3, 3.1]."),
        (
            "2.0",
            {},
            "Swagger version [2.0] is not supported for the scoring script. Supported swagger versions: [3, 3.1].",
        ),
    ]:
        with pytest.raises(NoSuchDocument) as raised:
            Documents(settings(), CASES["standard mixed list"], supplied=supplied).get(asked)
        assert str(raised.value) == expected


def test_versions_that_the_script_cannot_have() -> None:
    with pytest.raises(NoSuchDocument) as raised:
        Documents(settings(), CASES["standard mixed list"], supplied={}).get(None)
    expected = "Swagger version [2] is not supported for the scoring script. Supported swagger versions: [3, 3.1]."
    assert str(raised.value) == expected
    document = describe(settings(), CASES["standard mixed list"], version="3")
    assert document["paths"]["/swagger.json"]["get"]["parameters"][0]["schema"]["enum"] == ["3", "3.1"]


def test_what_the_user_ships_wins(tmp_path: Path) -> None:
    root, source = tmp_path / "app", tmp_path / "app" / "source"
    source.mkdir(parents=True)
    (root / "swagger.json").write_bytes(b"two")
    (source / "swagger.json").write_bytes(b"not this")
    (source / "swagger3.1.json").write_bytes(b"three one")
    supplied = find_user_documents([root, source])
    found = documents({"2.0": SCHEMA, "3.0": SCHEMA}, supplied=supplied)
    assert found.get("2.0") == b"two"
    assert found.get("3.1") == b"three one"
    assert orjson.loads(found.get("3"))["openapi"] == "3.0.3"


# --- which one is asked for -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "version"),
    [
        (b"", None),
        (b"version", ""),
        (b"version=3", "3"),
        (b"a=1&&version=3.1&version=2", "3.1"),
        (b"%76ersion=3%2E1", "3.1"),
        (b"aversion=3&version =3", None),
        (b"a&" * 31 + b"version=3", "3"),
        (b"a&" * 32 + b"version=3", None),
        (b"a=b&" * 15_000, None),
        (b"version=" + b"%ff" * 20_000, "\ufffd" * 21 + "%"),
    ],
)
def test_the_version_that_a_query_asks_for(query: bytes, version: str | None) -> None:
    """A query may be as long as a head, and only its first parameters are looked at."""
    assert asked_version(query) == version
