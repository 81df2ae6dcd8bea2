"""How a service is reached, and by whom: Service, Ingress, HTTPRoute, NetworkPolicy."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from modelport.domain.endpoints import VERSION_HEADER, traffic_weights
from modelport.domain.errors import UserErrorException
from modelport.targets.kubernetes.scoring import PORT
from modelport.targets.kubernetes.settings import Expose
from modelport.targets.kubernetes.subject import SERVING, Manifest, Subject, Unit
from modelport_scoring import Limits

Fields = dict[str, Any]

_OUTSIDE = (Expose.NODE_PORT, Expose.LOAD_BALANCER)
_METADATA_SERVICE = "169.254.169.254/32"


def services(subject: Subject) -> Iterator[Manifest]:
    """The service's own, and one for each version of an endpoint."""
    behind_router = subject.router_selector if subject.has_router else subject.service_selector
    if not subject.service.versions:
        behind_router = subject.unit_selector(subject.units[0])
    if not (subject.service.versions and subject.uses_gateway):
        yield _service(subject, subject.names.base, selector=behind_router, is_exposed=True)
    if subject.service.versions:
        for unit in subject.units:
            yield _service(subject, unit.name, selector=subject.unit_selector(unit), is_exposed=False, unit=unit)


def _service(
    subject: Subject, name: str, *, selector: dict[str, str], is_exposed: bool, unit: Unit | None = None
) -> Manifest:
    settings = subject.settings
    tls = is_exposed and subject.speaks_tls
    port = {"name": "https" if tls else "http", "port": 443 if tls else 80, "protocol": "TCP"}
    kind = settings.expose if is_exposed and settings.expose in _OUTSIDE else Expose.CLUSTER_IP
    ranges = list(settings.source_ranges) if kind is Expose.LOAD_BALANCER else []
    return subject.manifest(
        "Service",
        name,
        labels=subject.labels if unit is None else subject.unit_labels(unit),
        annotations=settings.service_annotations if kind is not Expose.CLUSTER_IP else None,
        spec={
            "type": kind.value,
            **({"loadBalancerSourceRanges": ranges} if ranges else {}),
            "selector": selector,
            "ports": [{**port, "targetPort": port["name"]}],
        },
    )


def ingress(subject: Subject) -> Manifest:
    """The service's path below the address of the cluster's Ingress controller."""
    settings, deployment = subject.settings, subject.deployment
    backend = {"service": {"name": subject.names.base, "port": {"name": "http"}}}
    rule = {"http": {"paths": [{"path": subject.path_prefix, "pathType": "Prefix", "backend": backend}]}}
    hosts = {"hosts": [_host(subject)]} if _host(subject) else {}
    tls = {"tls": [{**hosts, "secretName": subject.names.tls_secret}]} if deployment.ssl_enabled else {}
    return subject.manifest(
        "Ingress",
        subject.names.base,
        annotations=_ingress_annotations(subject),
        spec={
            **({"ingressClassName": settings.ingress_class} if settings.ingress_class else {}),
            **tls,
            "rules": [{"host": _host(subject), **rule} if _host(subject) else rule],
        },
    )


def _host(subject: Subject) -> str | None:
    return subject.deployment.ssl_cname or subject.settings.host


def _ingress_annotations(subject: Subject) -> dict[str, str]:
    """What ingress-nginx has to know of the service's limits, which may be any class's controller: others do not read
    that. Whom cert-manager is to ask; and what the owners say."""
    body = math.ceil(subject.deployment.limits.get("max_body_bytes", Limits().max_body_bytes) / (1 << 20))
    found = {
        "nginx.ingress.kubernetes.io/proxy-body-size": f"{body}m",
        "nginx.ingress.kubernetes.io/proxy-read-timeout": str(_answer_s(subject)),
    }
    issuer = subject.settings.cert_issuer
    if issuer and subject.deployment.ssl_enabled:
        kind, _, name = issuer.rpartition("/")
        found["cert-manager.io/issuer" if kind == "Issuer" else "cert-manager.io/cluster-issuer"] = name
    return {**found, **subject.settings.ingress_annotations}


def _answer_s(subject: Subject) -> int:
    """How long the slowest allowed answer of any version takes."""
    longest = max(
        unit.deployment.limits.get("scoring_timeout_ms", Limits().scoring_timeout_ms)
        + unit.deployment.limits.get("queue_wait_ms", Limits().queue_wait_ms)
        for unit in subject.units
    )
    return math.ceil(longest / 1000) + 5


def http_route(subject: Subject) -> Manifest:
    """The service's path on a Gateway; of an endpoint, the shares of its versions, and each by its header."""
    gateway = subject.settings.gateway
    if gateway is None:
        raise UserErrorException(
            "The compute target exposes services by a Gateway, and names none.", hint="Give gateway as namespace/name."
        )
    namespace, _, name = gateway.rpartition("/")
    host = _host(subject)
    return subject.manifest(
        "HTTPRoute",
        subject.names.base,
        spec={
            "parentRefs": [{**({"namespace": namespace} if namespace else {}), "name": name}],
            **({"hostnames": [host]} if host else {}),
            "rules": _rules(subject),
        },
    )


def _rules(subject: Subject) -> list[Fields]:
    path = {"path": {"type": "PathPrefix", "value": subject.path_prefix}}
    if not subject.service.versions:
        return [{"matches": [path], "backendRefs": [{"name": subject.names.base, "port": 80}]}]
    by_header = [
        {
            "matches": [
                {
                    **path,
                    "headers": [{"type": "Exact", "name": VERSION_HEADER, "value": str(unit.revision.number)}],
                }
            ],
            "backendRefs": [{"name": unit.name, "port": 80}],
        }
        for unit in subject.units
    ]
    shares = _weights(subject)
    divided = [{"name": unit.name, "port": 80, "weight": shares[unit.revision.number]} for unit in subject.units]
    return [*by_header, {"matches": [path], "backendRefs": divided}]


def _weights(subject: Subject) -> dict[int, int]:
    """Whole numbers, as a Gateway counts them: hundredths of a percent. The default version has what is left."""
    service = subject.service
    given = {
        number: round(percent * 100)
        for number, percent in traffic_weights(service.versions, default=service.active_revision).items()
    }
    weights = {unit.revision.number: given.get(unit.revision.number, 0) for unit in subject.units}
    weights[service.active_revision] = max(0, 10_000 - sum(given.values()))
    return weights


def network_policies(subject: Subject) -> Iterator[Manifest]:
    """Who may reach the pods. Those behind the router take requests from it alone; nodes may probe all pods."""
    entrance = subject.router_selector if subject.has_router else subject.service_selector
    yield _policy(subject, f"{subject.names.base}-entrance", selector=entrance, callers=_callers(subject))
    if subject.has_router:
        behind = {**subject.service_selector, "app.kubernetes.io/component": SERVING}
        router = [{"podSelector": {"matchLabels": subject.router_selector}}]
        yield _policy(subject, f"{subject.names.base}-versions", selector=behind, callers=router)


def _callers(subject: Subject) -> list[Fields]:
    """Empty: everybody, where requests come from outside the cluster under addresses that nobody can foresee."""
    names, expose = subject.settings.callers, subject.settings.expose
    if expose in _OUTSIDE or (not names and expose is not Expose.CLUSTER_IP):
        return []
    own: list[Fields] = [{"podSelector": {}}]
    others = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": sorted(names)}
    return [*own, {"namespaceSelector": {"matchExpressions": [others]}}] if names else own


def _policy(subject: Subject, name: str, *, selector: dict[str, str], callers: list[Fields]) -> Manifest:
    rule = {**({"from": callers} if callers else {}), "ports": [{"protocol": "TCP", "port": PORT}]}
    # Knative's own containers in the pod take the requests, on ports that are its affair
    entrance = {} if subject.settings.kserve else {"ingress": [rule]}
    return subject.manifest(
        "NetworkPolicy",
        name,
        spec={
            "podSelector": {"matchLabels": selector},
            "policyTypes": [*(["Ingress"] if entrance else []), "Egress"],
            **entrance,
            "egress": [_egress(subject)],
        },
    )


def _egress(subject: Subject) -> Fields:
    """Scripts may ask anybody but the cloud's metadata service, which would give them the rights of the node."""
    if subject.settings.reaches_metadata_service:
        return {}
    return {
        "to": [
            {"namespaceSelector": {}},
            {"ipBlock": {"cidr": "0.0.0.0/0", "except": [_METADATA_SERVICE]}},
            {"ipBlock": {"cidr": "::/0", "except": ["fd00:ec2::254/128"]}},
        ]
    }
