"""The program that carries out an operation of a workspace for a script whose Python has no client.

It reads ``{"workspace": …, "operation": …, "arguments": {…}}`` and writes ``{"answer": …}`` or ``{"error": {…}}``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from azureml import exceptions as v1
from modelport.domain.errors import ModelportError
from modelport.domain.progress import Silent
from modelport.sdk.access import carry_out
from modelport.sdk.workspace import Workspace


def answer(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What is written for what was read."""
    try:
        workspace = Workspace.get(asked["workspace"], progress=Silent())
        return {"answer": carry_out(workspace, asked["operation"], asked["arguments"])}
    except ModelportError as error:
        return {"error": {"type": _known_to_v1(type(error)), "message": str(error)}}


def _known_to_v1(kind: type[ModelportError]) -> str:
    """The name of the class of ``azureml.exceptions`` that is nearest."""
    return next((each.__name__ for each in kind.__mro__ if each.__name__ in v1.__all__), "AzureMLException")


if __name__ == "__main__":
    sys.stdout.write(json.dumps(answer(json.load(sys.stdin))))
