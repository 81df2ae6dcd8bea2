"""What a replica asks of its node, in the cluster's units."""

from __future__ import annotations

import math

from modelport.domain.deployments import Deployment, Resources


def resources(deployment: Deployment, *, gpu_resource: str) -> dict[str, dict[str, str]]:
    """``requests`` and ``limits`` of a container. A limit is there only where one was asked for, as in v1; a LimitRange
    of the namespace may add another. GPUs are limits, and are requested by that."""
    asked = deployment.resources or Resources()
    limits = {"cpu": _cores(asked.cpu_limit), "memory": _memory(asked.memory_gb_limit)}
    if deployment.gpu_cores:
        limits[gpu_resource] = str(deployment.gpu_cores)
    found = {
        "requests": _given({"cpu": _cores(asked.cpu), "memory": _memory(asked.memory_gb)}),
        "limits": _given(limits),
    }
    return {name: amounts for name, amounts in found.items() if amounts}


def _cores(count: float | None) -> str | None:
    """Cores, or thousandths of one; never more precise than that, as the API server refuses it."""
    if count is None:
        return None
    thousandths = math.ceil(round(count * 1000, 6))
    return f"{thousandths}m" if thousandths % 1000 else str(thousandths // 1000)


def _memory(gigabytes: float | None) -> str | None:
    """v1's gigabyte is a binary one, as its clusters counted it."""
    if gigabytes is None:
        return None
    mebibytes = math.ceil(round(gigabytes * 1024, 6))
    return f"{mebibytes}Mi" if mebibytes % 1024 else f"{mebibytes // 1024}Gi"


def _given(amounts: dict[str, str | None]) -> dict[str, str]:
    return {name: amount for name, amount in amounts.items() if amount is not None}
