"""By which URL a service is reached: by its clients, and from this machine."""

from __future__ import annotations

from modelport.domain.deployments import path_prefix
from modelport.domain.services import Service


def base_url(service: Service, port: int, *, host: str | None = None, speaks_tls: bool | None = None) -> str:
    """By which clients reach the service, on that host or on this machine: with TLS, by the name in its certificate.
    ``speaks_tls``: what is known of the address; None: what the deployment says."""
    if service.deployment.ssl_enabled and service.deployment.ssl_cname:
        return f"https://{host_name(service)}:{port}{path_prefix(service.compute_type, service.name)}"
    return local_url(service, port, host=host, speaks_tls=speaks_tls)


def local_url(service: Service, port: int, *, host: str | None = None, speaks_tls: bool | None = None) -> str:
    """By which this machine reaches the service, whatever its name leads to."""
    tls = service.deployment.ssl_enabled if speaks_tls is None else speaks_tls
    scheme, host = "https" if tls else "http", host or _local_host(service)
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return f"{scheme}://{address}{path_prefix(service.compute_type, service.name)}"


def host_name(service: Service, *, host: str | None = None) -> str:
    """The name or address by which clients reach the service, which is on that host or on this machine."""
    deployment = service.deployment
    named = deployment.ssl_cname if deployment.ssl_enabled else None
    return named or host or _local_host(service)


def _local_host(service: Service) -> str:
    host = service.deployment.host
    return "localhost" if host in (None, "127.0.0.1", "0.0.0.0", "::") else host  # noqa: S104 - compared, not bound
