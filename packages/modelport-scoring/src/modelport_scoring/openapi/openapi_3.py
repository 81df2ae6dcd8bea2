"""OpenAPI 3.0.3 and 3.1.0: the same operations, with each status and its content types told apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modelport_scoring.openapi.operations import Answer, Operation, QueryParameter, Schema
from modelport_scoring.openapi.security import BEARER, requirements
from modelport_scoring.settings.service import ServiceSettings

SPECIFICATIONS = {"3": "3.0.3", "3.1": "3.1.0"}


def render(
    service: ServiceSettings, operations: Sequence[Operation], definitions: Mapping[str, Schema], *, version: str
) -> dict[str, Any]:
    """The document of that version, ``3`` or ``3.1``."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation, service)
    return {
        "openapi": SPECIFICATIONS[version],
        "info": {
            "title": service.name,
            "description": f"API specification for the Azure Machine Learning service {service.name}",
            "version": service.version,
        },
        "paths": paths,
        "components": {"schemas": dict(definitions), "securitySchemes": {"Bearer": BEARER}},
    }


def _operation(operation: Operation, service: ServiceSettings) -> dict[str, Any]:
    described: dict[str, Any] = {"operationId": operation.name, "tags": [operation.tag]}
    described["description"] = operation.description
    if operation.needs_key:
        described["security"] = requirements(service)
    if operation.query:
        described["parameters"] = [_query_parameter(parameter) for parameter in operation.query]
    if operation.body is not None:
        described["requestBody"] = {"required": operation.body.required, "content": _content(operation.body.content)}
    return {**described, "responses": {status: _response(answer) for status, answer in operation.answers.items()}}


def _query_parameter(parameter: QueryParameter) -> dict[str, Any]:
    described = {"name": parameter.name, "in": "query", "required": parameter.required}
    return {**described, "description": parameter.description, "schema": parameter.schema}


def _response(answer: Answer) -> dict[str, Any]:
    described: dict[str, Any] = {"description": answer.description, "content": _content(answer.content)}
    if answer.example is not None:
        for media in described["content"].values():
            media["example"] = answer.example
    if answer.headers:
        described["headers"] = {
            name: {"required": header.required, "schema": header.schema} for name, header in answer.headers.items()
        }
    return described


def _content(content: Mapping[str, Schema]) -> dict[str, Any]:
    return {media: {"schema": _schema(schema)} for media, schema in content.items()}


def _schema(schema: Schema) -> Schema:
    return {"$ref": f"#/components/schemas/{schema['$ref']}"} if "$ref" in schema else schema
