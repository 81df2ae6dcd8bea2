"""A failed deployment as v1's clouds told of it, and what a person needs besides (azureml-v1 reference, 2.6, 7.3)."""

from __future__ import annotations

import json
from typing import Any

from modelport.domain.failures import Failure

_BAD_REQUEST = 400
_TERMINAL = "CrashLoopBackOff"


def error_of(failure: Failure, *, code: str) -> dict[str, Any]:
    """As the cloud's JSON had it."""
    first, _, rest = failure.describe().partition("\n\n")
    return {
        "code": code,
        "statusCode": _BAD_REQUEST,
        "message": first,
        "details": [{"code": _TERMINAL, "message": failure.traceback or failure.hint or rest or first}],
    }


def describe_failure(failure: Failure, *, code: str, state: str, operation: str) -> str:
    """The message of the exception: the words that scripts look for, the JSON, the traceback and the end of the log."""
    error = error_of(failure, code=code)
    _, _, rest = failure.describe().partition("\n\n")
    return (
        f"The deployment came to an end without success, current service state: {state}\n"
        f"Operation ID: {operation}\n"
        "More information can be found using '.get_logs()'\n"
        f"Error:\n{json.dumps({**error, 'details': [{'code': _TERMINAL, 'message': failure.hint}]}, indent=2)}"
        f"{rest and f'{chr(10)}{chr(10)}{rest}'}"
    )
