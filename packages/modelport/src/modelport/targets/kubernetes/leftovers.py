"""What a service leaves in a cluster that nobody could ask, and how its owner finds and removes it there."""

from __future__ import annotations

import shlex

from modelport.targets.kubernetes.names import namespace_of
from modelport.targets.kubernetes.subject import SERVICE_LABEL, WORKSPACE_ID_LABEL

_KINDS = (
    "deployments",
    "services",
    "ingresses",
    "horizontalpodautoscalers",
    "poddisruptionbudgets",
    "networkpolicies",
    "serviceaccounts",
    "secrets",
    "configmaps",
)
"""Those that every cluster serves; kubectl refuses the whole list for one that it does not. What else there may be
(routes, certificates, an InferenceService) is owned by one of them, and goes with it."""


def leftovers(
    service: str, *, context: str, workspace: str, workspace_id: str, namespace: str | None
) -> tuple[str, ...]:
    """Sentences, and commands for a shell, a line each. ``namespace``: the one that was given; None: the workspace's
    own."""
    place = namespace or namespace_of(workspace, workspace_id)
    kubectl = f"kubectl --context {shlex.quote(context)} --namespace {place}"
    labels = f"--selector {WORKSPACE_ID_LABEL}={workspace_id},{SERVICE_LABEL}={service}"
    lines = (
        f"The cluster of the context {context!r} was not asked: objects of {service!r} may be left in its namespace "
        f"{place}. Once it answers, this shows them:",
        f"{kubectl} get {','.join(_KINDS)} {labels}",
        "and this removes them:",
        f"{kubectl} delete {','.join(_KINDS)} {labels}",
    )
    if namespace is not None:
        return lines
    last = (
        f"The namespace goes with the last service: kubectl --context {shlex.quote(context)} delete namespace {place}"
    )
    return (*lines, last)
