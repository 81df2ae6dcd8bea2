"""The objects of one service in its cluster: applied, put back as they were, pruned, deleted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from modelport.domain.errors import DeploymentFailed, UserErrorException, WebserviceException
from modelport.targets.kubernetes.cluster import FIELD_MANAGER, Cluster, Object, RightMissing, names_of
from modelport.targets.kubernetes.facts import OPTIONAL, ClusterFacts
from modelport.targets.kubernetes.occupants import has_occupants
from modelport.targets.kubernetes.owned_fields import applied_by
from modelport.targets.kubernetes.plan import KubernetesPlan
from modelport.targets.kubernetes.subject import WORKSPACE_ID_LABEL
from modelport.targets.kubernetes.watching import Patience, wait_for, woken_by

_KINDS = (
    "InferenceService",
    "HTTPRoute",
    "Ingress",
    "HorizontalPodAutoscaler",
    "PodDisruptionBudget",
    "Deployment",
    "Service",
    "Certificate",
    "NetworkPolicy",
    "ServiceAccount",
    "Secret",
    "ConfigMap",
)
"""Of the objects of a service, in the order in which they are taken away."""

_GONE_WITHIN_S = 120
_AFTER_GRACE_S = 60
_BALANCER_GONE_WITHIN_S = 600
_KUBERNETES_GRACE_S = 30
"""Of a pod that says nothing else."""

_DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment"}
_AUTOSCALED = "modelport-autoscaled"
"""Field manager of a Deployment's number of pods, until an autoscaler writes it."""
_RESTORED_WITHIN_S = 120

Name = tuple[str, str]
"""Kind and name of an object of the namespace."""


class Applied:
    """What a service has in a namespace of its cluster. Methods raise WebserviceException as those of the cluster."""

    def __init__(self, cluster: Cluster, facts: ClusterFacts, *, namespace: str, selector: Mapping[str, str]) -> None:
        self._cluster = cluster
        self._facts = facts
        self._namespace = namespace
        self._selector = selector

    def objects(self, *kinds: str) -> list[Object]:
        """Those of these kinds, or all that there are."""
        return [found for kind in kinds or _KINDS for found in self._of_kind(kind)]

    def apply(self, plan: KubernetesPlan, *, but: Sequence[Name] = ()) -> None:
        """Have all objects of the plan, those in ``but`` excepted, be as it says."""
        self._have_namespace(plan)
        for manifest in plan.lasting:
            self._have(manifest)
        self._end_autoscalers(plan)
        owner = self._cluster.apply(plan.owner)
        for manifest in plan.owned(str(owner["metadata"]["uid"])):
            if name_of(manifest) not in but:
                self._leave_replicas(manifest)
                self._cluster.apply(manifest)

    def _have(self, manifest: Mapping[str, Any]) -> None:
        """What outlives services is made where it is missing, and then its owners': a claim that they have grown cannot
        shrink again."""
        kind = f"{manifest['apiVersion']}/{manifest['kind']}"
        if self._cluster.get(kind, manifest["metadata"]["name"], namespace=self._namespace) is None:
            self._cluster.apply(manifest)

    def _end_autoscalers(self, plan: KubernetesPlan) -> None:
        """Those that the plan has no more would have as many pods as they see fit, until they are pruned."""
        wanted = [name_of(manifest) for manifest in plan.belongings]
        for found in self.objects("HorizontalPodAutoscaler"):
            if name_of(found) not in wanted:
                self.delete(found)

    def _leave_replicas(self, manifest: Mapping[str, Any], number: int | None = None) -> None:
        """Where an autoscaler is to count the pods from now on, keep the number that there is, or have ``number``: a
        field that nobody owns any more would become its default, one."""
        if manifest["kind"] != "Deployment" or "replicas" in manifest["spec"]:
            return
        metadata = {key: manifest["metadata"][key] for key in ("name", "namespace")}
        found = self._cluster.get("apps/v1/Deployment", metadata["name"], namespace=self._namespace)
        ours = None if found is None else applied_by(FIELD_MANAGER, {**found, **_DEPLOYMENT})
        if ours is not None and "replicas" in ours["spec"]:
            spec = {"replicas": ours["spec"]["replicas"] if number is None else number}
            self._cluster.apply({**_DEPLOYMENT, "metadata": metadata, "spec": spec}, manager=_AUTOSCALED)

    def check(self, plan: KubernetesPlan) -> None:
        """Raise UserErrorException where the service is there in the other way: both would want the same names."""
        infers = any(manifest["kind"] == "InferenceService" for manifest in plan.belongings)
        if self.objects("Deployment" if infers else "InferenceService"):
            now, then = ("as Deployments", "as an InferenceService")[:: 1 if infers else -1]
            raise UserErrorException(
                f"The service {plan.name} runs {now}, and its compute target says {then} now.",
                hint="Delete it and deploy it again; or attach the cluster as it was (kserve).",
            )

    def prune(self, keep: Sequence[Name]) -> None:
        """Take away what is not to be kept."""
        for found in self.objects():
            if name_of(found) not in keep:
                self.delete(found)

    def restore(self, before: Sequence[Object]) -> dict[str, WebserviceException]:
        """Have what was there be as it was, and nothing else. What the cluster leaves unanswered is tried again for a
        while. Returns which objects are not so, and why: then what is new stays, since others may need it."""
        patience = Patience(_RESTORED_WITHIN_S)
        failed: dict[str, WebserviceException] = {}
        for found in reversed(before):
            try:
                patience.insist(partial(self._put_back, found))
            except WebserviceException as error:
                failed[" ".join(name_of(found))] = error
        if not failed:
            try:
                patience.insist(partial(self.prune, [name_of(found) for found in before]))
            except WebserviceException as error:
                failed["what is new"] = error
        return failed

    def _put_back(self, found: Object) -> None:
        manifest = applied_by(FIELD_MANAGER, found)
        if manifest is not None:
            self._leave_replicas(manifest, found["spec"]["replicas"] if found["kind"] == "Deployment" else None)
            self._cluster.apply(manifest)

    def delete(self, found: Mapping[str, Any]) -> None:
        """Have one object deleted."""
        self._cluster.delete(self._served(found["kind"]), found["metadata"]["name"], namespace=self._namespace)

    def delete_all(self, *kinds: str) -> None:
        """Have every object of these kinds, or all that there are, deleted, and wait until nothing of them is left, nor
        any pod.

        Raises WebserviceException where something stays, and names it.
        """
        watched = [self._served("Deployment"), "v1/Pod"]
        with woken_by(self._cluster, watched, namespace=self._namespace, labels=self._selector) as changed:
            going = self.objects(*kinds)
            within_s = gone_within_s(going, self._pods())
            for found in going:
                self.delete(found)
            done = wait_for(lambda: not self._left(kinds) or None, changed, within_s=within_s)
        left = [] if done else self._left(kinds)
        if left:
            raise WebserviceException(
                f"The cluster still has, after {within_s} s: {', '.join(' '.join(each) for each in left)}.",
                hint=why_it_stays(left),
            )

    def _left(self, kinds: Sequence[str]) -> list[Name]:
        return [*(("Pod", name) for name in names_of(self._pods())), *map(name_of, self.objects(*kinds))]

    def _pods(self) -> list[Object]:
        return self._cluster.list("v1/Pod", namespace=self._namespace, labels=self._selector)

    def delete_empty_namespace(self) -> None:
        """Only one that the workspace has made, and in which nobody has anything any more: neither the workspace, with
        other services or collected model data, nor anybody else. Who may not list it all, leaves it."""
        found = self._own_namespace()
        of_workspace = self._selector[WORKSPACE_ID_LABEL]
        if found is None or found["metadata"].get("labels", {}).get(WORKSPACE_ID_LABEL) != of_workspace:
            return
        if not has_occupants(self._cluster, self._facts, self._namespace):
            self._cluster.delete("v1/Namespace", self._namespace)

    def _have_namespace(self, plan: KubernetesPlan) -> None:
        """The workspace's own is in the plan; any other is made where it is missing, and else left alone."""
        self._wait_for_leaving_namespace()
        if plan.namespace_object is not None:
            self._cluster.apply(plan.namespace_object)
        elif self._is_missing():
            self._cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self._namespace}})

    def _own_namespace(self) -> Object | None:
        """The Namespace; None also for a user of the namespace alone, who may not see that it is there."""
        try:
            return self._cluster.get("v1/Namespace", self._namespace)
        except RightMissing:
            return None

    def _is_missing(self) -> bool:
        try:
            return self._cluster.get("v1/Namespace", self._namespace) is None
        except RightMissing:
            return False

    def _wait_for_leaving_namespace(self) -> None:
        """One that went with the workspace's last service is in the way of the next one, for seconds."""

        def is_settled() -> bool:
            found = self._own_namespace()
            return found is None or "deletionTimestamp" not in found["metadata"]

        if is_settled():
            return
        with woken_by(self._cluster, ["v1/Namespace"]) as changed:
            if not wait_for(lambda: is_settled() or None, changed, within_s=_GONE_WITHIN_S):
                raise WebserviceException(
                    f"The namespace {self._namespace} is still being deleted after {_GONE_WITHIN_S} s.",
                    hint=f"kubectl get namespace {self._namespace} -o yaml says what it waits for.",
                )

    def _of_kind(self, kind: str) -> Iterator[Object]:
        if self._facts.serves(kind):
            served = self._served(kind)
            group_version, _, name = served.rpartition("/")
            for found in self._list(kind, served):
                if not _is_controlled(found):
                    yield {**found, "apiVersion": group_version, "kind": name}

    def _list(self, kind: str, served: str) -> list[Object]:
        """None of a kind that only some clusters have where the user may not see any: then there are none of ours."""
        try:
            return self._cluster.list(served, namespace=self._namespace, labels=self._selector)
        except RightMissing:
            if kind not in OPTIONAL:
                raise
            return []

    def _served(self, kind: str) -> str:
        return f"{self._facts.api_version(kind)}/{kind}"


def _is_controlled(found: Object) -> bool:
    """Whether it was made by a controller, such as KServe's, which copies our labels: it is that one's to delete."""
    return any(owner.get("controller") for owner in found["metadata"].get("ownerReferences", ()))


def gone_within_s(going: Sequence[Object], pods: Sequence[Object]) -> int:
    """How long these may take to be gone: pods finish what they hold, and providers take load balancers away first."""
    graces = [int(pod["spec"].get("terminationGracePeriodSeconds", _KUBERNETES_GRACE_S)) for pod in pods]
    balanced = any(found["kind"] == "Service" and found["spec"].get("type") == "LoadBalancer" for found in going)
    return max(_GONE_WITHIN_S, max(graces, default=0) + _AFTER_GRACE_S, _BALANCER_GONE_WITHIN_S if balanced else 0)


def why_it_stays(left: Sequence[Name]) -> str:
    """What to look at, by the kinds of what is left."""
    kinds = {kind for kind, _ in left}
    kind, name = left[0]
    if "Pod" in kinds:
        return "A node that does not answer keeps its pods: try again when it does."
    if "Service" in kinds:
        return "Its load balancer has to go first: kubectl describe service shows what the provider says."
    return f"Something holds it by a finalizer: kubectl get {kind.lower()} {name} -o yaml names it."


def name_of(manifest: Mapping[str, Any]) -> Name:
    """Which object it is."""
    return str(manifest["kind"]), str(manifest["metadata"]["name"])


def not_restored(failed: Mapping[str, WebserviceException], *, after: BaseException) -> BaseException:
    """The error ``after`` which things were to be put back, saying that these are not."""
    whys = dict.fromkeys(str(error.message) for error in failed.values())
    told = (
        f"Not everything is as it was before: {', '.join(failed)} could not be put back. {' '.join(whys)} "
        "Once the cluster answers, modelport service restart has it be as the workspace says."
    )
    if isinstance(after, DeploymentFailed):
        return DeploymentFailed(replace(after.failure, message=f"{after.failure.message}\n{told}"))
    if isinstance(after, WebserviceException):
        return WebserviceException(f"{after.message}\n{told}", hint=after.hint)
    after.add_note(told)
    return after
