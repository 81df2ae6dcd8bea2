"""A cluster as the driver speaks to it: objects are plain dictionaries, and a refusal says which right is missing."""

from __future__ import annotations

import builtins
import contextlib
import re
import ssl
import weakref
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import httpx2
from lightkube import ApiError, Client
from lightkube.config import client_adapter
from lightkube.config.kubeconfig import SingleConfig
from lightkube.core.exceptions import ConfigError
from lightkube.generic_resource import GenericGlobalResource, GenericNamespacedResource, create_api_info
from lightkube.types import CascadeType

from modelport.domain.errors import ConflictException, WebserviceException
from modelport.targets.kubernetes.kubeconfig import find_context

FIELD_MANAGER = "modelport"
"""Whose fields server-side apply takes away again when a later plan has them no more."""

Object = dict[str, Any]
NO_LABELS: Mapping[str, str] = {}

_TIMEOUT_S = 15.0
_WATCH_S = 10
"""How long one watch lasts."""

_NOT_FOUND, _CONFLICT = 404, 409
_WORKLOADS = ("v1", "apps/v1", "autoscaling/v1", "autoscaling/v2", "autoscaling/v2beta2", "policy/v1", "policy/v1beta1")
_JOBS = ("batch/v1",)
_NETWORK = ("networking.k8s.io/v1", "gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1beta1")
_MORE = ("rbac.authorization.k8s.io/v1", "cert-manager.io/v1", "serving.kserve.io/v1beta1")
_GROUP_VERSIONS = (*_WORKLOADS, *_JOBS, *_NETWORK, *_MORE)
"""Those that plans may have objects of, or others in a namespace of ours."""


class RightMissing(WebserviceException):
    """The context's user may not do that."""


class Unanswered(WebserviceException):
    """The cluster did not answer, or has no time: the same may be answered later."""


class Cluster:
    """All methods raise WebserviceException where the cluster does not answer, or refuses."""

    def __init__(self, config: SingleConfig) -> None:
        self.context = config.context_name
        self.server = str(config.cluster.server)
        self.namespace = config.namespace
        try:
            self._client = Client(config, timeout=httpx2.Timeout(_TIMEOUT_S), field_manager=FIELD_MANAGER)
            # What the client has no verb for: what the cluster serves, and logs of containers that are gone.
            self._plain = client_adapter.Client(config, client_adapter.ConnectionParams(httpx2.Timeout(_TIMEOUT_S)))
            # Nobody tells a target when it is used for the last time: connections are closed when it is forgotten.
            weakref.finalize(self, _close, self._client, self._plain)
        except (ConfigError, AssertionError, OSError, ssl.SSLError) as error:
            raise WebserviceException(
                f"The context {self.context!r} cannot be used: {error}.",
                hint="kubectl --context shows whether it works there.",
            ) from error

    @classmethod
    def of_context(cls, name: str) -> Cluster:
        """The one that a context of the kubeconfig names. Nothing is contacted yet."""
        return cls(find_context(name))

    # --- what it is ---------------------------------------------------------------------------------------------------

    @cached_property
    def version(self) -> tuple[int, int]:
        """Of Kubernetes: ``(1, 27)``."""
        told = self._get("version", what="its version")
        numbers = [re.match(r"\d+", str(told[part])) for part in ("major", "minor")]
        major, minor = (int(number.group()) if number else 0 for number in numbers)
        return major, minor

    @cached_property
    def _resources(self) -> Mapping[str, type[Any]]:
        """The kinds that it serves, by ``group/version/Kind``."""
        found: dict[str, type[Any]] = {}
        groups = self._get("apis", what="its API groups")["groups"]
        served = {version["groupVersion"] for group in groups for version in group["versions"]} | {"v1"}
        for group_version in _GROUP_VERSIONS:
            if group_version in served:
                path = group_version if group_version == "v1" else None
                told = self._get(f"api/{path}" if path else f"apis/{group_version}", what=f"the API {group_version}")
                for each in told["resources"]:
                    if "/" not in each["name"]:
                        found[f"{group_version}/{each['kind']}"] = _resource(group_version, each)
        return found

    @property
    def served(self) -> frozenset[str]:
        """Every ``group/version/Kind`` that a plan may ask for and the cluster has."""
        return frozenset(self._resources)

    # --- objects ------------------------------------------------------------------------------------------------------

    def apply(self, manifest: Mapping[str, Any], *, manager: str = FIELD_MANAGER) -> Object:
        """Have the object be as the manifest says; fields that others own become the manager's. Returns it as it is
        then."""
        resource = self._resource_of(manifest)
        with self._translated("apply", resource, manifest["metadata"]["name"], manifest["metadata"].get("namespace")):
            return dict(self._client.apply(resource(manifest), force=True, field_manager=manager))

    def get(self, kind: str, name: str, *, namespace: str | None = None) -> Object | None:
        """The object; None where there is none."""
        resource = self._resources[kind]
        with self._translated("get", resource, name, namespace):
            try:
                return dict(self._client.get(resource, name, **_within(namespace)))
            except ApiError as error:
                if error.status.code == _NOT_FOUND:
                    return None
                raise

    def list(
        self, kind: str, *, namespace: str | None = None, labels: Mapping[str, str] = NO_LABELS
    ) -> builtins.list[Object]:
        """Those with all of these labels; none of a kind that the cluster does not serve."""
        resource = self._resources.get(kind)
        if resource is None:
            return []
        with self._translated("list", resource, None, namespace):
            asked: Any = {**_within(namespace), "labels": dict(labels)}
            return [dict(found) for found in self._client.list(resource, **asked)]

    def delete(self, kind: str, name: str, *, namespace: str | None = None, with_dependents: bool = False) -> None:
        """Have it deleted, in the background; nothing happens where there is none."""
        resource = self._resources[kind]
        cascade = CascadeType.FOREGROUND if with_dependents else CascadeType.BACKGROUND
        with self._translated("delete", resource, name, namespace):
            try:
                asked: Any = {**_within(namespace), "cascade": cascade}
                self._client.delete(resource, name, **asked)
            except ApiError as error:
                if error.status.code != _NOT_FOUND:
                    raise

    def changes(self, kind: str, *, namespace: str | None, labels: Mapping[str, str]) -> Iterator[str]:
        """A line for each change of these objects, for some seconds from now on: the cluster then ends the watch."""
        resource = self._resources[kind]
        info = resource._api_info
        root = f"apis/{info.resource.group}" if info.resource.group else "api"
        place = "" if namespace is None else f"namespaces/{namespace}/"
        selector = ",".join(f"{name}={value}" for name, value in labels.items())
        asked: dict[str, str | int] = {"watch": "true", "labelSelector": selector, "timeoutSeconds": _WATCH_S}
        with (
            self._translated("watch", resource, None, namespace),
            self._plain.stream(
                "GET",
                f"{root}/{info.resource.version}/{place}{info.plural}",
                params=asked,
                timeout=httpx2.Timeout(_TIMEOUT_S, read=_WATCH_S + _TIMEOUT_S),
            ) as answer,
        ):
            if answer.is_error:
                answer.read()
                raise ApiError(request=answer.request, response=answer)
            yield from answer.iter_lines()

    def log(self, pod: str, container: str, *, namespace: str, lines: int, previous: bool = False) -> str:
        """The last lines of what the container printed, or the one that was in its place before; "" where there is
        nothing to be had."""
        return self._log(pod, namespace, {"container": container, "tailLines": lines, "previous": previous}) or ""

    def log_of_last(self, seconds: int, pod: str, container: str, *, namespace: str) -> str | None:
        """What the container has printed in so many seconds; None where there is nothing to be had now."""
        return self._log(pod, namespace, {"container": container, "sinceSeconds": seconds})

    def _log(self, pod: str, namespace: str, asked: Mapping[str, str | int | bool]) -> str | None:
        try:
            answer = self._plain.get(f"api/v1/namespaces/{namespace}/pods/{pod}/log", params=dict(asked))
        except httpx2.HTTPError:
            return None
        return answer.text if answer.is_success else None

    # --- words for what goes wrong ------------------------------------------------------------------------------------

    def _resource_of(self, manifest: Mapping[str, Any]) -> type[Any]:
        kind = f"{manifest['apiVersion']}/{manifest['kind']}"
        try:
            return self._resources[kind]
        except KeyError:
            raise WebserviceException(f"The cluster of context {self.context!r} does not serve {kind}.") from None

    def _get(self, path: str, *, what: str) -> Any:
        with self._translated("get", what, None, None):
            answer = self._plain.get(path)
            if answer.is_error:
                raise ApiError(request=answer.request, response=answer)
            return answer.json()

    @contextlib.contextmanager
    def _translated(
        self, verb: str, resource: type[Any] | str, name: str | None, namespace: str | None
    ) -> Iterator[None]:
        try:
            yield
        except ApiError as error:
            raise self._refusal(error, verb, resource, name, namespace) from error
        except (httpx2.HTTPError, ConfigError, OSError) as error:
            raise Unanswered(
                f"The cluster of context {self.context!r} does not answer at {self.server}: "
                f"{str(error) or type(error).__name__}.",
                hint=f"See whether kubectl --context {self.context} get namespaces does.",
            ) from error

    def _refusal(
        self, error: ApiError, verb: str, resource: type[Any] | str, name: str | None, namespace: str | None
    ) -> WebserviceException:
        what = resource if isinstance(resource, str) else _plural(resource)
        where = f" in the namespace {namespace!r}" if namespace else ""
        code, said = error.status.code, error.status.message or str(error)
        if code == httpx2.codes.UNAUTHORIZED:
            return WebserviceException(
                f"The cluster of context {self.context!r} does not know the user of that context.",
                hint="Its token or certificate may have expired: log in again, as for kubectl.",
            )
        if code == httpx2.codes.FORBIDDEN and _is_missing_right(said):
            rights = "create and patch" if verb == "apply" else verb
            return RightMissing(
                f"The user of context {self.context!r} may not {rights} {what}{where}: {said}",
                hint="docs/kubernetes.md has the Role that Modelport needs: ask an administrator for it.",
            )
        told = f"The cluster refuses {what} {name!r}{where}: {said}" if name else f"The cluster refuses {what}: {said}"
        if code is not None and (code == httpx2.codes.TOO_MANY_REQUESTS or httpx2.codes.is_server_error(code)):
            return Unanswered(told)
        return ConflictException(told) if code == _CONFLICT else WebserviceException(told)


def _close(*clients: Client | httpx2.Client) -> None:
    for client in clients:
        client.close()


def _resource(group_version: str, told: Mapping[str, Any]) -> type[Any]:
    """A class of lightkube's for objects of that kind as dictionaries; not in its registry, which is of its own."""
    group, _, version = group_version.rpartition("/")
    base = GenericNamespacedResource if told["namespaced"] else GenericGlobalResource
    return type(told["kind"], (base,), {"_api_info": create_api_info(group, version, told["kind"], told["name"])})


def _plural(resource: type[Any]) -> str:
    info = resource._api_info
    return f"{info.plural}.{info.resource.group}" if info.resource.group else str(info.plural)


def _within(namespace: str | None) -> dict[str, str]:
    return {} if namespace is None else {"namespace": namespace}


def _is_missing_right(said: str) -> bool:
    """Quotas, policies and namespaces that are being deleted are answered by 403 too."""
    return re.search(r"\bcannot \w+ resource\b", said) is not None


def names_of(objects: Sequence[Mapping[str, Any]]) -> list[str]:
    """Their names."""
    return [str(each["metadata"]["name"]) for each in objects]
