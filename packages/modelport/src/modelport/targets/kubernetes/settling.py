"""Pods taking over new settings from their Secret, without being replaced: nudged, and waited for."""

from __future__ import annotations

import base64
import math
import re
import threading
import time
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass

from modelport.domain.errors import DeploymentFailed, WebserviceException
from modelport.domain.failures import Failure, Phase
from modelport.targets.kubernetes.cluster import Cluster, Object
from modelport.targets.kubernetes.observing import is_leaving, is_ready, revision_of
from modelport.targets.kubernetes.rollout import COMPONENT, Rollout
from modelport.targets.kubernetes.router import ROUTER_FILE
from modelport.targets.kubernetes.scoring import SETTINGS_FILE
from modelport.targets.kubernetes.subject import PREFIX, ROUTER, SERVING
from modelport.targets.kubernetes.watching import wait_for
from modelport_scoring.container.settings_file import fingerprint

_WITHIN_S = 180
"""A kubelet looks at the Secrets of its pods about once a minute, where nobody nudges it."""
_LOOK_EVERY_S = 0.3
_OVERLAP_S = 2
"""Of what is read of a log and what was read of it before: times in it are whole seconds here and there."""
_SETTINGS_TAKEN = r"the new settings .*\b{}\b.* are (in force|not taken over.*)"
_CERTIFICATE_TAKEN = r"the new certificate is (in use); .*\({}\)"
"""What a server says when it has taken over what has that fingerprint."""
_OURS = ("scoring", "router", "kserve-container")
_SETTINGS_ANNOTATION = f"{PREFIX}/settings"


@dataclass(frozen=True, kw_only=True)
class Settling:
    """Of the pods of one service."""

    cluster: Cluster
    rollout: Rollout
    pods: Container[str]
    """Names of those that were there before the Secrets changed: others began with what is in them now."""
    since: float
    """When the Secrets had not changed yet, by ``time.monotonic``."""

    def wait(self, before: Sequence[Object], after: Sequence[Object]) -> None:
        """Return when every pod that took requests with a Secret of ``before`` has taken over what is in ``after``,
        certificates among that.

        Raises DeploymentFailed where a pod refuses it, and says why.
        """
        old = _settings_of(before)
        for revision, content in _settings_of(after).items():
            if old.get(revision, content) != content:
                self._wait_for(self._of(revision), fingerprint(content), _SETTINGS_TAKEN)
        shown = _certificates_of(before)
        for secret, content in _certificates_of(after).items():
            if shown.get(secret, content) != content:
                self._wait_for(self._showing(secret), fingerprint(content), _CERTIFICATE_TAKEN)

    def _there(self) -> Iterator[Object]:
        """The pods that were there before, and take requests. One that is going does so for moments, and is not asked
        for more."""
        for pod in self.rollout.pods():
            if pod["metadata"]["name"] in self.pods and is_ready(pod) and not is_leaving(pod):
                yield pod

    def _of(self, revision: int | None) -> list[Object]:
        component = ROUTER if revision is None else SERVING
        there = [pod for pod in self._there() if pod["metadata"]["labels"].get(COMPONENT) == component]
        return [pod for pod in there if revision_of(pod) == revision]

    def _showing(self, secret: str) -> list[Object]:
        return [
            pod
            for pod in self._there()
            if any(volume.get("secret", {}).get("secretName") == secret for volume in pod["spec"]["volumes"])
        ]

    def _wait_for(self, pods: Sequence[Object], wanted: str, words: str) -> None:
        for pod in pods:
            self._nudge(pod, wanted)
        waiting = [_Log(str(pod["metadata"]["name"]), _container_of(pod), read=self.since) for pod in pods]

        def look() -> bool | None:
            there = {str(pod["metadata"]["name"]) for pod in self.rollout.pods() if not is_leaving(pod)}
            waiting[:] = [log for log in waiting if log.pod in there and not self._has_taken(log, words.format(wanted))]
            return None if waiting else True

        if wait_for(look, threading.Event(), within_s=_WITHIN_S, look_every_s=_LOOK_EVERY_S) is None:
            names = ", ".join(sorted(log.pod for log in waiting))
            raise WebserviceException(
                f"After {_WITHIN_S} s these pods have not taken the new settings over: {names}.",
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

    def _has_taken(self, log: _Log, words: str) -> bool:
        """By what was not read yet: however much a script prints, nothing is missed. Raises DeploymentFailed where it
        says no."""
        now = time.monotonic()
        seconds = math.ceil(now - log.read) + _OVERLAP_S
        text = self.cluster.log_of_last(seconds, log.pod, log.container, namespace=self.rollout.namespace)
        if text is None:
            return False
        log.read = now
        said = re.findall(words, text)
        if said and not said[-1].startswith("in "):
            reason = said[-1].partition(": ")[2]
            message = f"The pod {log.pod} refuses the settings: {reason}"
            raise DeploymentFailed(Failure(phase=Phase.START, message=message))
        return bool(said)


@dataclass
class _Log:
    """Of a pod that is waited for."""

    pod: str
    container: str
    read: float
    """Until when, by ``time.monotonic``."""


def _container_of(pod: Object) -> str:
    """The name of the one that prints what it has taken over."""
    names = [str(container["name"]) for container in pod["spec"]["containers"]]
    return next((name for name in names if name in _OURS), names[0])


def _certificates_of(objects: Sequence[Object]) -> Mapping[str, bytes]:
    """Those that Secrets have, by the names of these."""
    return {
        str(each["metadata"]["name"]): base64.b64decode(each["data"]["tls.crt"])
        for each in objects
        if each["kind"] == "Secret" and "tls.crt" in (each.get("data") or {})
    }


def _settings_of(objects: Sequence[Object]) -> Mapping[int | None, bytes]:
    """What the Secrets tell: ``service.json`` by its revision, ``router.json`` by None."""
    found = {}
    for each in objects:
        data = (each.get("data") or {}) if each["kind"] == "Secret" else {}
        for file, revision in ((SETTINGS_FILE, revision_of(each)), (ROUTER_FILE, None)):
            if file in data:
                found[revision] = base64.b64decode(data[file])
    return found
