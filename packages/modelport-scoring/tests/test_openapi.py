from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from modelport_scoring import RevisionSettings, ServiceSettings
from modelport_scoring.openapi import Documents, NoSuchDocument, find_user_documents
from modelport_scoring.workers.contract import Contract

SCHEMA = {
    "input": {"type": "object", "properties": {"data": {"type": "string"}}, "example": {"data": "a"}},
    "output": {"type": "array", "items": {"type": "object"}},
}


def settings(**more: Any) -> ServiceSettings:
    revision = RevisionSettings(number=1, bundle="/none", interpreter=["python"])
    return ServiceSettings(name="diabetes", workspace="w", revision=revision, **more)


def documents(schemas: dict[str, Any], *, supplied: dict[str, bytes] | None = None, **more: Any) -> Documents:
    contract = Contract(input="json" if schemas else "text", schemas=schemas)
    return Documents(settings(**more), contract, supplied=supplied or {})


def test_the_shape_of_swagger_2() -> None:
    document = orjson.loads(documents({"2.0": SCHEMA}, path_prefix="/api/v1/service/diabetes/", version="7").get(None))
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
    score = document["paths"][f"{prefix}/score"]["post"]
    assert score["operationId"] == "RunMLService"
    assert score["security"] == [{"Bearer": []}]
    (parameter,) = score["parameters"]
    assert parameter["name"] == "serviceInputPayload"
    assert parameter["in"] == "body"
    assert parameter["schema"] == {"$ref": "#/definitions/ServiceInput"}
    assert score["responses"]["200"]["schema"] == {"$ref": "#/definitions/ServiceOutput"}
    assert score["responses"]["default"]["schema"] == {"$ref": "#/definitions/ErrorResponse"}
    assert document["definitions"]["ServiceInput"] == SCHEMA["input"]
    assert document["definitions"]["ServiceOutput"] == SCHEMA["output"]
    assert all(operation["tags"] for path in document["paths"].values() for operation in path.values())


def test_undecorated_scripts_get_an_honest_document() -> None:
    document = orjson.loads(documents({}).get("2"))
    empty = {"type": "object", "example": {}}
    assert document["definitions"]["ServiceInput"] == document["definitions"]["ServiceOutput"] == empty
    assert "declares no schema" in document["paths"]["/score"]["post"]["description"]


@pytest.mark.parametrize(("asked", "specification"), [("3", "3.0.3"), ("3.0", "3.0.3"), ("3.1", "3.1.0")])
def test_openapi_3(asked: str, specification: str) -> None:
    document = orjson.loads(documents({"3.0": SCHEMA, "3.1": SCHEMA}).get(asked))
    assert document["openapi"] == specification
    assert document["components"]["schemas"]["ServiceInput"] == SCHEMA["input"]
    assert "Bearer" in document["components"]["securitySchemes"]
    body = document["paths"]["/score"]["post"]["requestBody"]["content"]["application/json"]
    assert body["schema"] == {"$ref": "#/components/schemas/ServiceInput"}


@pytest.mark.parametrize("asked", ["9", "2.1", "x", ""])
def test_unknown_versions(asked: str) -> None:
    with pytest.raises(NoSuchDocument) as raised:
        documents({"2.0": SCHEMA}).get(asked)
    assert str(raised.value) == f"Swagger version [{asked}] is not valid. Supported versions: [2, 3, 3.1]."


def test_versions_that_the_script_cannot_have() -> None:
    with pytest.raises(NoSuchDocument) as raised:
        documents({"3.0": SCHEMA, "3.1": SCHEMA}).get(None)
    expected = "Swagger version [2] is not supported for the scoring script. Supported swagger versions: [3, 3.1]."
    assert str(raised.value) == expected


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
