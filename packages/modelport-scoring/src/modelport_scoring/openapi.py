"""The service's OpenAPI documents, in the shape that the original server gave them (reference, 6.5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson

from modelport_scoring.settings import ServiceSettings
from modelport_scoring.workers.contract import Contract

VERSIONS = ("2", "3", "3.1")
ALIASES = {"2.0": "2", "3.0": "3"}
SCHEMA_KEYS = {"2": "2.0", "3": "3.0", "3.1": "3.1"}
SPECIFICATIONS = {"3": "3.0.3", "3.1": "3.1.0"}

USER_FILES = (("2", "swagger.json"), ("2", "swagger2.json"), ("3", "swagger3.json"), ("3.1", "swagger3.1.json"))
"""Files beside the script that are served as they are; the first one of a version wins."""

ANY_OBJECT: dict[str, Any] = {"type": "object", "example": {}}
ERROR_RESPONSE: dict[str, Any] = {
    "type": "object",
    "properties": {"status_code": {"type": "integer", "format": "int32"}, "message": {"type": "string"}},
}
JSON = "application/json"
UNDECLARED = "The entry script declares no schema: it reads the request's body as it comes."


class NoSuchDocument(LookupError):
    """There is no document of that version; the message is the client's."""


class Documents:
    """The documents of one revision, each rendered when it is first asked for."""

    def __init__(self, service: ServiceSettings, contract: Contract, *, supplied: Mapping[str, bytes]) -> None:
        self._service = service
        self._contract = contract
        self._rendered = dict(supplied)

    def get(self, asked: str | None) -> bytes:
        """The document of that version, 2 where none was asked for. Raises NoSuchDocument."""
        version = "2" if asked is None else ALIASES.get(asked, asked)
        if version not in VERSIONS:
            raise NoSuchDocument(
                f"Swagger version [{asked}] is not valid. Supported versions: [{', '.join(VERSIONS)}]."
            )
        if version not in self._rendered:
            self._rendered[version] = self._render(version)
        return self._rendered[version]

    def _render(self, version: str) -> bytes:
        schemas = self._contract.schemas
        supported = [known for known in VERSIONS if not schemas or SCHEMA_KEYS[known] in schemas]
        if version not in supported:
            raise NoSuchDocument(
                f"Swagger version [{version}] is not supported for the scoring script. "
                f"Supported swagger versions: [{', '.join(supported)}]."
            )
        document = describe(self._service, version=version, schemas=schemas.get(SCHEMA_KEYS[version], {}))
        return orjson.dumps(document)


def find_user_documents(folders: Iterable[Path]) -> dict[str, bytes]:
    """The documents that the user ships, by version; an earlier folder goes before a later one."""
    found: dict[str, bytes] = {}
    for folder in folders:
        for version, name in USER_FILES:
            path = folder / name
            if version not in found and path.is_file():
                found[version] = path.read_bytes()
    return found


def describe(service: ServiceSettings, *, version: str, schemas: Mapping[str, Any]) -> dict[str, Any]:
    """The document: Swagger 2.0, OpenAPI 3.0.3 or 3.1.0. ``schemas`` holds ``input`` and ``output``, or nothing."""
    definitions = {
        "ServiceInput": schemas.get("input") or ANY_OBJECT,
        "ServiceOutput": schemas.get("output") or ANY_OBJECT,
        "ErrorResponse": ERROR_RESPONSE,
    }
    note = {} if schemas else {"description": UNDECLARED}
    if version == "2":
        return _swagger_2(service, definitions, note=note)
    return _openapi_3(service, definitions, note=note, specification=SPECIFICATIONS[version])


def _info(service: ServiceSettings) -> dict[str, Any]:
    return {
        "title": service.name,
        "description": f"API specification for the Azure Machine Learning service {service.name}",
        "version": service.version,
    }


def _swagger_2(service: ServiceSettings, definitions: dict[str, Any], *, note: dict[str, str]) -> dict[str, Any]:
    health = {"description": "The service is healthy", "schema": {"type": "string"}, "examples": {JSON: "Healthy"}}
    scored = _answer_2("The service processed the input and gave a result", "ServiceOutput")
    payload = {"name": "serviceInputPayload", "in": "body", "description": "The input payload of the service"}
    payload_schema = {"schema": {"$ref": "#/definitions/ServiceInput"}}
    version = {"name": "version", "in": "query", "required": False, "type": "integer", "enum": [2, 3]}
    document = {"description": "The specification", "schema": {"type": "object"}}
    return {
        "swagger": "2.0",
        "info": _info(service),
        "schemes": ["https"],
        "consumes": [JSON],
        "produces": [JSON],
        "securityDefinitions": {"Bearer": _bearer()},
        "paths": _paths(
            service,
            health={"responses": {"200": health, "default": _answer_2("An error", "ErrorResponse")}},
            score={
                **note,
                "parameters": [{**payload, **payload_schema}],
                "responses": {"200": scored, "default": _answer_2("An error", "ErrorResponse")},
            },
            specification={
                "parameters": [version],
                "responses": {"200": document, "default": _answer_2("An error", "ErrorResponse")},
            },
        ),
        "definitions": definitions,
    }


def _openapi_3(
    service: ServiceSettings, schemas: dict[str, Any], *, note: dict[str, str], specification: str
) -> dict[str, Any]:
    error = _answer_3("An error", {"$ref": "#/components/schemas/ErrorResponse"})
    health = {"description": "The service is healthy"}
    health_text = {"content": {"text/html": {"schema": {"type": "string"}, "example": "Healthy"}}}
    scored = _answer_3("The service processed the input and gave a result", _reference_3("ServiceOutput"))
    body = {"required": True, "content": {JSON: {"schema": _reference_3("ServiceInput")}}}
    version = {"name": "version", "in": "query", "required": False, "schema": {"type": "string", "enum": [*VERSIONS]}}
    return {
        "openapi": specification,
        "info": _info(service),
        "paths": _paths(
            service,
            health={"responses": {"200": {**health, **health_text}, "default": error}},
            score={**note, "requestBody": body, "responses": {"200": scored, "default": error}},
            specification={
                "parameters": [version],
                "responses": {"200": _answer_3("The specification", {"type": "object"}), "default": error},
            },
        ),
        "components": {"schemas": schemas, "securitySchemes": {"Bearer": _bearer()}},
    }


def _paths(
    service: ServiceSettings, *, health: dict[str, Any], score: dict[str, Any], specification: dict[str, Any]
) -> dict[str, Any]:
    """The three paths with what all versions say alike of them."""
    prefix = normal_prefix(service.path_prefix)
    health_head = {"operationId": "ServiceHealthCheck", "tags": ["health"]}
    health_head["description"] = "Simple health check endpoint to ensure the service is up at any given point."
    score_head: dict[str, Any] = {"operationId": "RunMLService", "tags": ["scoring"], "security": [{"Bearer": []}]}
    score_head["description"] = "Run web service's model and get the prediction output"
    specification_head: dict[str, Any] = {"operationId": "GetSwaggerSpec", "tags": ["specification"]}
    specification_head["security"] = [{"Bearer": []}]
    return {
        f"{prefix}/": {"get": {**health_head, **health}},
        f"{prefix}/score": {"post": {**score_head, **score}},
        f"{prefix}/swagger.json": {"get": {**specification_head, **specification}},
    }


def normal_prefix(prefix: str) -> str:
    """``/`` and the prefix without its slashes at both ends, or nothing."""
    stripped = prefix.strip("/")
    return f"/{stripped}" if stripped else ""


def _bearer() -> dict[str, str]:
    return {"type": "apiKey", "name": "Authorization", "in": "header", "description": "For example: Bearer abc123"}


def _answer_2(description: str, definition: str) -> dict[str, Any]:
    return {"description": description, "schema": {"$ref": f"#/definitions/{definition}"}}


def _answer_3(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {JSON: {"schema": schema}}}


def _reference_3(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}
