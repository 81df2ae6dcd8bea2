"""What stands in the way to a service, by what controllers say of its route."""

from __future__ import annotations

from typing import Any

import pytest

from modelport.targets.kubernetes.reaching import why_refused


def _route(*conditions: dict[str, Any], generation: int = 2) -> dict[str, Any]:
    return {
        "kind": "HTTPRoute",
        "metadata": {"name": "line", "generation": generation},
        "status": {"parents": [{"parentRef": {"name": "front"}, "conditions": list(conditions)}]},
    }


def _says(type: str, status: str, *, seen: int = 2) -> dict[str, Any]:
    return {"type": type, "status": status, "reason": "NoMatchingParent", "message": "none", "observedGeneration": seen}


def test_a_route_that_is_refused() -> None:
    refusal = why_refused(_route(_says("Accepted", "True"), _says("ResolvedRefs", "False")))
    assert refusal is not None
    assert refusal.message == "The Gateway does not take the route line: NoMatchingParent: none"


@pytest.mark.parametrize(
    "found",
    [
        _route(_says("Accepted", "True"), _says("ResolvedRefs", "True")),
        _route(_says("Accepted", "False", seen=1)),
        _route(_says("Programmed", "False")),
        {"kind": "HTTPRoute", "metadata": {"name": "line", "generation": 1}},
        {"kind": "Service", "metadata": {"name": "line"}, "status": {"loadBalancer": {}}},
    ],
    ids=["taken", "what was before", "another condition", "nothing is said", "no route"],
)
def test_nothing_is_refused(found: dict[str, Any]) -> None:
    assert why_refused(found) is None
