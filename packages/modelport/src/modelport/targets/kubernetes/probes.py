"""When a container is started, ready, alive, and how long it may take to end."""

from __future__ import annotations

import math
from typing import Any

from modelport.domain.deployments import Deployment, Probe
from modelport.targets.kubernetes.facts import ClusterFacts
from modelport_scoring import Limits
from modelport_scoring.sockets.handover import LINGER_S
from modelport_scoring.supervision.supervisor import KILL_AFTER_S

Fields = dict[str, Any]

PYTHON = "/opt/modelport/server/bin/python"
"""The scoring server's, in every image."""

UNREACHED_S = 5
"""How long a pod that is to end goes on taking connections: until every node knows that it is no endpoint any more."""
_MARGIN_S = LINGER_S + KILL_AFTER_S + 5
"""For the processes to end once the requests are answered: longer than the server's supervisor waits, which says so."""

_DEFAULT = Probe(period_s=10, initial_delay_s=310, timeout_s=2, success_threshold=1, failure_threshold=3)
"""(azureml-v1 reference, 2.9)"""

_START_PERIOD_S = 2


def probes(deployment: Deployment, *, path: str, scheme: str) -> Fields:
    """The three probes of a container, all on the health route.

    A startup probe holds the others back while ``init()`` runs, for as long as the service's limit allows. The numbers
    of the deployment are the liveness probe's; Kubernetes allows it no success threshold, so that counts for readiness.
    """
    asked = deployment.probe or _DEFAULT
    get = {"httpGet": {"path": path, "port": "http" if scheme == "HTTP" else "https", "scheme": scheme}}
    timeout = _seconds(asked.timeout_s, 2)
    return {
        "startupProbe": {
            **get,
            "periodSeconds": _START_PERIOD_S,
            "timeoutSeconds": timeout,
            "failureThreshold": max(1, math.ceil(start_timeout_s(deployment) / _START_PERIOD_S)),
        },
        "readinessProbe": {
            **get,
            "periodSeconds": min(5, _seconds(asked.period_s, 10)),
            "timeoutSeconds": timeout,
            "successThreshold": asked.success_threshold or 1,
            "failureThreshold": 2,
        },
        "livenessProbe": {
            **get,
            "initialDelaySeconds": math.ceil(310 if asked.initial_delay_s is None else asked.initial_delay_s),
            "periodSeconds": _seconds(asked.period_s, 10),
            "timeoutSeconds": timeout,
            "successThreshold": 1,
            "failureThreshold": asked.failure_threshold or 3,
        },
    }


def start_timeout_s(deployment: Deployment) -> float:
    """How long the script's import and ``init()`` may take."""
    return float(deployment.limits.get("start_timeout_s", Limits().start_timeout_s))


def lifecycle(cluster: ClusterFacts) -> Fields:
    """What happens before a container gets SIGTERM: nothing, for a while. Images need not have a shell for it."""
    if cluster.is_at_least(1, 30):
        return {"preStop": {"sleep": {"seconds": UNREACHED_S}}}
    return {"preStop": {"exec": {"command": [PYTHON, "-c", f"import time; time.sleep({UNREACHED_S})"]}}}


def termination_grace_s(deployment: Deployment) -> int:
    """How long a pod may take to end: to be forgotten, and to finish what it holds."""
    drain_s = deployment.limits.get("drain_timeout_s", Limits().drain_timeout_s)
    return UNREACHED_S + math.ceil(drain_s + _MARGIN_S)


def _seconds(asked: float | None, default: int) -> int:
    """Whole seconds, one at least: Kubernetes counts no others."""
    return default if asked is None else max(1, math.ceil(asked))
