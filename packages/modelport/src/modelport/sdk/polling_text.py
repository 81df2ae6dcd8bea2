"""How v1 told that a service in a cloud did not come up (azureml-v1 reference, 2.6): scripts look for these words."""

from __future__ import annotations

import json
from typing import Any

from modelport.domain.errors import DeploymentFailed, WebserviceException
from modelport.domain.failures import Phase

_CRASHES = (Phase.IMPORT, Phase.INIT, Phase.SCHEMA, Phase.WARM_UP)


def polling_ended(*, state: str, error: WebserviceException) -> str:
    """The message: v1's first lines with the state, the error as JSON, and what our own error says."""
    answer = {
        "code": "DeploymentFailed",
        "statusCode": 400,
        "message": "Deployment failed",
        "details": [_detail(error)],
    }
    return (
        f"Service deployment polling reached non-successful terminal state, current service state: {state}\n"
        "More information can be found using '.get_logs()'\n"
        f"Error:\n{json.dumps(answer, indent=2)}\n\n{error.message}"
    )


def _detail(error: WebserviceException) -> dict[str, Any]:
    if not isinstance(error, DeploymentFailed):
        return {"code": "DeploymentTimedOut", "message": error.message}
    if error.failure.phase in _CRASHES:
        message = (
            "Your container application crashed. This may be caused by errors in your scoring file's init() function. "
            + error.failure.message
        )
        return {"code": "CrashLoopBackOff", "message": message}
    return {"code": "DeploymentFailed", "message": error.failure.message}
