"""What a service answers, told once for all dialects of OpenAPI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelport_scoring.openapi.json_text import query_schema
from modelport_scoring.settings.service import ErrorMode, ServiceSettings
from modelport_scoring.workers.contract import Contract

Schema = dict[str, Any]

JSON = "application/json"
HTML = "text/html"
PLAIN = "text/plain"
ANYTHING = "*/*"
TEXT: Schema = {"type": "string"}
ANY_VALUE: Schema = {}

DEFAULT = "default"

OUTPUT = "The service processed the input and gave a result"
DECLARED = "Run web service's model and get the prediction output"
UNDECLARED = (
    f"{DECLARED}. The entry script declares no schema: its run() gets the request's body as text, whatever the content "
    "type, and what it returns is answered as JSON."
)
RAW = (
    f"{DECLARED}. The entry script reads the HTTP request itself (@rawhttp), whatever its content type, and chooses "
    "status, headers and body of the answer."
)
BY_QUERY = "The same with the parameters of a query: each value is read as JSON, or as text where it is not JSON."


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """A header of an answer; ``required`` where it is always there."""

    schema: Schema
    required: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What comes with one status. ``content``: schemas by media type; the first is what the others fall back to."""

    description: str
    content: Mapping[str, Schema]
    headers: Mapping[str, Header] = field(default_factory=dict)
    example: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What a request may carry. ``content``: schemas by media type."""

    content: Mapping[str, Schema]
    required: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryParameter:
    """``schema`` is that of one value: no array, no object."""

    name: str
    required: bool
    schema: Schema
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method on one path. ``answers`` by status, or ``default``."""

    path: str
    method: str
    name: str
    tag: str
    description: str
    needs_key: bool
    answers: Mapping[str, Answer]
    body: Body | None = None
    query: Sequence[QueryParameter] = ()


def reference(name: str) -> Schema:
    """Stands for the definition of that name until a dialect writes where it keeps its definitions."""
    return {"$ref": name}


def plan_operations(
    service: ServiceSettings, contract: Contract, definitions: Mapping[str, Schema], *, versions: Sequence[str]
) -> list[Operation]:
    """Every operation of the service; ``versions`` are those of its documents."""
    prefix = normal_prefix(service.path_prefix)
    return [
        _health(f"{prefix}/", service),
        *_scoring(f"{prefix}/score", service, contract, definitions),
        _specification(f"{prefix}/swagger.json", service, versions),
    ]


def normal_prefix(prefix: str) -> str:
    """``/`` and the prefix without its slashes at both ends, or nothing."""
    stripped = prefix.strip("/")
    return f"/{stripped}" if stripped else ""


# --- operations -------------------------------------------------------------------------------------------------------


def _health(path: str, service: ServiceSettings) -> Operation:
    healthy = Answer(description="The service is healthy", content={HTML: TEXT}, example="Healthy")
    unhealthy = Answer(description="No worker takes requests; the text says why", content={HTML: TEXT})
    return Operation(
        path=path,
        method="get",
        name="ServiceHealthCheck",
        tag="health",
        description="Simple health check endpoint to ensure the service is up at any given point.",
        needs_key=False,
        answers={"200": healthy, "503": unhealthy, **_refusals("431")},
    )


def _specification(path: str, service: ServiceSettings, versions: Sequence[str]) -> Operation:
    version = QueryParameter(
        name="version",
        required=False,
        schema={"type": "string", "enum": [*versions]},
        description="Of OpenAPI; 2 where none is given",
    )
    document = Answer(description="The specification", content={JSON: {"type": "object"}})
    return Operation(
        path=path,
        method="get",
        name="GetSwaggerSpec",
        tag="specification",
        description="Get the Swagger specification.",
        needs_key=True,
        query=[version],
        answers={"200": document, **_refusals("404", "431", "503", *_denials(service))},
    )


def _scoring(
    path: str, service: ServiceSettings, contract: Contract, definitions: Mapping[str, Schema]
) -> list[Operation]:
    posted = Operation(
        path=path,
        method="post",
        name="RunMLService",
        tag="scoring",
        description={"json": DECLARED, "text": UNDECLARED, "raw": RAW}[contract.input],
        needs_key=True,
        body=_body(contract),
        answers=_scored(service, contract, "400", "413", *(["415"] if contract.input == "json" else [])),
    )
    asked = Operation(
        path=path,
        method="get",
        name="RunMLServiceByQuery",
        tag="scoring",
        description=RAW if contract.input == "raw" else BY_QUERY,
        needs_key=True,
        query=_query(contract, definitions),
        answers=_scored(service, contract, "400"),
    )
    return [posted, asked]


def _body(contract: Contract) -> Body:
    if contract.input == "json":
        return Body(content={JSON: reference("ServiceInput")}, required=True)
    if contract.input == "text":
        return Body(content={JSON: ANY_VALUE, PLAIN: TEXT}, required=False)
    return Body(content={ANYTHING: ANY_VALUE}, required=False)


def _query(contract: Contract, definitions: Mapping[str, Schema]) -> list[QueryParameter]:
    if contract.input != "json":
        return []
    properties = definitions["ServiceInput"].get("properties", {})
    return [
        QueryParameter(
            name=parameter.name,
            required=parameter.required,
            schema=query_schema(properties.get(parameter.name, ANY_VALUE)),
            description="The value, as JSON",
        )
        for parameter in contract.parameters
    ]


# --- answers ----------------------------------------------------------------------------------------------------------

REFUSALS = {
    "400": "The request cannot be given to run()",
    "401": "The key, or the token, is missing or not valid",
    "403": "The token is valid, but for another service",
    "404": "There is no document of that version",
    "413": "The request's body is larger than limits.max_body_bytes",
    "415": "The content type is not JSON's",
    "431": "The head of the request, or one of its ids, is too long",
    "500": "The service failed to answer",
    "502": "The worker ended before it answered",
    "503": "No worker takes the request: too many wait, or none is ready",
    "504": "run() took longer than limits.scoring_timeout_ms",
    DEFAULT: "An error",
}
RUN_HEADERS = {
    "x-ms-request-id": Header(schema=TEXT),
    "x-ms-run-function-failed": Header(schema={"type": "string", "enum": ["True", "False"]}),
    "x-ms-run-fn-exec-ms": Header(schema={"type": "number"}, required=False),
}
REFUSAL_HEADERS = {
    "401": {"WWW-Authenticate": Header(schema=TEXT)},
    "503": {"Retry-After": Header(schema={"type": "integer"}, required=False)},
}


def _refusals(*statuses: str) -> dict[str, Answer]:
    """Those errors, and all others, as JSON."""
    content = {JSON: reference("ErrorResponse")}
    return {
        status: Answer(description=REFUSALS[status], content=content, headers=REFUSAL_HEADERS.get(status, {}))
        for status in (*statuses, DEFAULT)
    }


def _denials(service: ServiceSettings) -> tuple[str, ...]:
    """Statuses of requests whose sender may not have an answer."""
    return ("401", "403") if service.auth.is_required else ()


def _scored(service: ServiceSettings, contract: Contract, *refused: str) -> dict[str, Answer]:
    """What scoring may answer."""
    if contract.input == "raw":
        own = Answer(description="What the entry script answers", content={ANYTHING: ANY_VALUE}, headers=RUN_HEADERS)
        return {
            "200": own,
            **_refusals(*_denials(service)),
            DEFAULT: Answer(description="As the entry script chooses, or an error", content=own.content),
        }
    returned = reference("ServiceOutput") if _declares_output(contract) else ANY_VALUE
    scored = Answer(description=OUTPUT, content={JSON: returned}, headers=RUN_HEADERS)
    return {
        "200": scored,
        **_refusals(*refused, "431", "500", "502", "503", "504", *_denials(service)),
        **_script_failures(service.error_mode),
    }


def _declares_output(contract: Contract) -> bool:
    """Whether there is an ``@output_schema``: a sample always leaves its example in the schema."""
    outputs = [schemas.get("output") for schemas in contract.schemas.values()]
    return any(isinstance(output, dict) and "example" in output for output in outputs)


def _script_failures(mode: ErrorMode) -> dict[str, Answer]:
    """How an exception in run() is told (reference, 5.9); what the server refuses itself is JSON."""
    if mode is ErrorMode.JSON:
        return {}
    raised = "run() raised; the body is the text of the exception"
    gone = REFUSALS["502"]
    if mode is ErrorMode.CLOUD:
        return {"502": Answer(description=f"{raised}. Or: {gone}", content={HTML: TEXT})}
    content = {HTML: TEXT, JSON: reference("ErrorResponse")}
    return {"500": Answer(description=raised, content=content), "502": Answer(description=gone, content={HTML: TEXT})}
