"""What schemathesis is told of v1, so that it can judge everything else (docs/architecture/06-openapi.md).

Two of its checks hold only in part where v1 is kept. Neither is switched off: each is narrowed to the requests of which
v1 says nothing else. Loaded by schemathesis through SCHEMATHESIS_HOOKS.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import schemathesis
from schemathesis import Case, CheckContext, Response
from schemathesis.specs.openapi.checks import negative_data_rejection


@schemathesis.check
def script_failures_are_marked(ctx: CheckContext, response: Response, case: Case[Any]) -> bool | None:
    """A sample that does not match is the script's failure, 502 or 500 (reference, 5.10): then the answer says so."""
    if response.status_code >= 500:
        assert response.headers["x-ms-run-function-failed"] == ["True"], "a server error that is not the script's"
    return None


@schemathesis.check
def wrong_requests_are_rejected(ctx: CheckContext, response: Response, case: Case[Any]) -> bool | None:
    """schemathesis' own check, but for what is wrong inside of a parameter's value: that is converted as leniently as
    inference_schema does it, ``[[1.7, "2"]]`` to whole numbers (reference, 5.10)."""
    if has_all_parameters(case):
        return None
    return negative_data_rejection(ctx, response, case)


def has_all_parameters(case: Case[Any]) -> bool:
    given = case.query if case.method.upper() == "GET" else case.body
    return case.path.endswith("/score") and isinstance(given, Mapping) and all(name in given for name in required(case))


def required(case: Case[Any]) -> list[str]:
    """The parameters that run() cannot do without."""
    document = case.operation.schema.raw_schema
    definitions = document.get("definitions") or document["components"]["schemas"]
    names: list[str] = definitions["ServiceInput"].get("required", [])
    return names
