"""Swagger 2.0, in the shape that the original server gave it (reference, 6.5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modelport_scoring.openapi.operations import DEFAULT, HTML, JSON, Answer, Operation, QueryParameter, Schema
from modelport_scoring.openapi.security import BEARER, requirements
from modelport_scoring.settings.service import ServiceSettings

PAYLOAD = {"name": "serviceInputPayload", "in": "body", "description": "The input payload of the service"}

VERSION_2_3: Schema = {"type": "integer", "enum": [2, 3]}
"""So the original has it: 3.1 is served, but no integer."""


def render(
    service: ServiceSettings, operations: Sequence[Operation], definitions: Mapping[str, Schema]
) -> dict[str, Any]:
    """The document."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation, service)
    return {
        "swagger": "2.0",
        "info": {
            "title": service.name,
            "description": f"API specification for the Azure Machine Learning service {service.name}",
            "version": service.version,
        },
        "schemes": ["https"],
        "consumes": [JSON],
        "produces": [JSON],
        "securityDefinitions": {"Bearer": BEARER},
        "paths": paths,
        "definitions": dict(definitions),
    }


def _operation(operation: Operation, service: ServiceSettings) -> dict[str, Any]:
    described: dict[str, Any] = {"operationId": operation.name, "tags": [operation.tag]}
    described["description"] = operation.description
    if operation.needs_key:
        described["security"] = requirements(service)
    produces = _media_types(operation)
    if produces != [JSON]:
        described["produces"] = produces
    parameters = [_query_parameter(parameter) for parameter in operation.query]
    if operation.body is not None:
        parameters = [_payload(operation)]
        if [*operation.body.content] != [JSON]:
            described["consumes"] = [*operation.body.content]
    if parameters:
        described["parameters"] = parameters
    return {**described, "responses": _responses(operation)}


def _media_types(operation: Operation) -> list[str]:
    """JSON first where it is among them: clients ask for the first they can read."""
    found = dict.fromkeys(media for answer in operation.answers.values() for media in answer.content)
    return sorted(found, key=lambda media: media != JSON)


def _payload(operation: Operation) -> dict[str, Any]:
    assert operation.body is not None
    required = {"required": True} if operation.body.required else {}
    return {**PAYLOAD, **required, "schema": _schema(next(iter(operation.body.content.values())))}


def _query_parameter(parameter: QueryParameter) -> dict[str, Any]:
    described: dict[str, Any] = {"name": parameter.name, "in": "query", "required": parameter.required}
    if parameter.name == "version":
        return {**described, **VERSION_2_3}
    return {**described, "description": parameter.description, **parameter.schema}


def _responses(operation: Operation) -> dict[str, Any]:
    """Success, what is not JSON, and ``default`` for the rest. Clients of the time take a status that is named for one
    that the caller expects; the mark on those that are errors is AutoRest's."""
    return {
        status: _response(answer, is_error=status not in ("200", DEFAULT))
        for status, answer in operation.answers.items()
        if status in ("200", DEFAULT) or HTML in answer.content
    }


def _response(answer: Answer, *, is_error: bool) -> dict[str, Any]:
    described: dict[str, Any] = {"description": answer.description}
    described["schema"] = _schema(next(iter(answer.content.values())))
    if answer.example is not None:
        described["examples"] = {JSON: answer.example}
    if is_error:
        described["x-ms-error-response"] = True
    return described


def _schema(schema: Schema) -> Schema:
    return {"$ref": f"#/definitions/{schema['$ref']}"} if "$ref" in schema else schema
