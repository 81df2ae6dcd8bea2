"""Pods taking over new settings from their Secret, without being replaced: nudged, and waited for."""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

from modelport.domain.errors import DeploymentFailed, WebserviceException
from modelport.domain.failures import Failure, Phase
from modelport.targets.kubernetes.cluster import Cluster, Object
from modelport.targets.kubernetes.observing import is_ready, revision_of
from modelport.targets.kubernetes.rollout import COMPONENT, Rollout
from modelport.targets.kubernetes.router import ROUTER_FILE
from modelport.targets.kubernetes.scoring import SETTINGS_FILE
from modelport.targets.kubernetes.subject import PREFIX, ROUTER, SERVING
from modelport.targets.kubernetes.watching import wait_for
from modelport_scoring.settings_file import fingerprint

_WITHIN_S = 180
"""A kubelet looks at the Secrets of its pods about once a minute, where nobody nudges it."""
_LOOK_EVERY_S = 0.3
_LAST_LINES = 100
_SETTINGS_ANNOTATION = f"{PREFIX}/settings"


@dataclass(frozen=True, kw_only=True)
class Settling:
    """Of the pods of one service."""

    cluster: Cluster
    rollout: Rollout
    pods: Container[str]
    """Names of those that were there before the Secrets changed: others began with what is in them now."""

    def wait(self, before: Sequence[Object], after: Sequence[Object]) -> None:
        """Return when every pod that took requests with a Secret of ``before`` has taken over what is in ``after``.

        Raises DeploymentFailed where a pod refuses it, and says why.
        """
        old = _settings_of(before)
        for revision, content in _settings_of(after).items():
            if old.get(revision, content) != content:
                self._wait_for(revision, fingerprint(content))

    def _wait_for(self, revision: int | None, wanted: str) -> None:
        component = ROUTER if revision is None else SERVING
        of_component = [pod for pod in self.rollout.pods() if pod["metadata"]["labels"].get(COMPONENT) == component]
        there = [pod for pod in of_component if pod["metadata"]["name"] in self.pods]
        pods = [pod for pod in there if revision_of(pod) == revision and is_ready(pod)]
        container = "router" if revision is None else "scoring"
        for pod in pods:
            self._nudge(pod, wanted)
        waiting = {str(pod["metadata"]["name"]) for pod in pods}

        def look() -> bool | None:
            there = {str(pod["metadata"]["name"]) for pod in self.rollout.pods()}
            for name in sorted(waiting):
                if name not in there or self._has_taken(name, container, wanted):
                    waiting.discard(name)
            return None if waiting else True

        if wait_for(look, threading.Event(), within_s=_WITHIN_S, look_every_s=_LOOK_EVERY_S) is None:
            raise WebserviceException(
                f"After {_WITHIN_S} s these pods have not taken the new settings over: {', '.join(sorted(waiting))}.",
                hint="Is the kubelet of their node well? kubectl get nodes",
            )

    def _nudge(self, pod: Object, wanted: str) -> None:
        """A kubelet looks after a pod, its Secrets among the rest, when the pod itself changes. Who may not change pods
        waits for it."""
        metadata = {key: pod["metadata"][key] for key in ("name", "namespace")}
        note = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {**metadata, "annotations": {_SETTINGS_ANNOTATION: wanted}},
        }
        try:
            self.cluster.apply(note)
        except WebserviceException:
            return

    def _has_taken(self, pod: str, container: str, wanted: str) -> bool:
        """By the log. Raises DeploymentFailed where it says no."""
        text = self.cluster.log(pod, container, namespace=self.rollout.namespace, lines=_LAST_LINES)
        said = re.findall(rf"the new settings .*\b{wanted}\b.* are (in force|not taken over.*)", text)
        if said and said[-1] != "in force":
            reason = said[-1].partition(": ")[2]
            raise DeploymentFailed(Failure(phase=Phase.START, message=f"The pod {pod} refuses the settings: {reason}"))
        return bool(said)


def _settings_of(objects: Sequence[Object]) -> Mapping[int | None, bytes]:
    """What the Secrets tell: ``service.json`` by its revision, ``router.json`` by None."""
    found = {}
    for each in objects:
        data = (each.get("data") or {}) if each["kind"] == "Secret" else {}
        for file, revision in ((SETTINGS_FILE, revision_of(each)), (ROUTER_FILE, None)):
            if file in data:
                found[revision] = base64.b64decode(data[file])
    return found
