"""A service as its scoring server is told it, wherever that runs: a value that can be printed and tested."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

from modelport.domain.deployments import Deployment, Placement, path_prefix
from modelport.domain.endpoints import VERSION_HEADER, traffic_weights
from modelport.domain.services import Service
from modelport.domain.tokens import TokenTrust
from modelport.targets.serving.model_data import ModelData
from modelport.targets.serving.settings import front_end, scoring_settings, version_settings
from modelport_scoring import AuthSettings, RevisionSettings, ServiceSettings, TokenKey, TokenSettings, Traffic

Trust = Callable[[str], TokenTrust]
"""Tells whose tokens the service of that name is to accept."""


def service_settings(
    service: Service,
    *,
    workspace: str,
    bundles: Mapping[int, Path],
    trust: Trust | None = None,
    model_data: ModelData | None = None,
) -> ServiceSettings:
    """The content of ``service.json``: the active revision and, of an endpoint, those of its other versions, each from
    its bundle in ``bundles``. ``trust`` is asked where the service asks for tokens; ``model_data`` says where scripts
    that collect data are to store them.

    Raises UserErrorException for a setting that no scoring server would take.
    """
    active = service.active_revision
    return ServiceSettings(
        name=service.name,
        workspace=workspace,
        revision=revision_settings(service, active, bundles[active], model_data=model_data),
        others=[
            revision_settings(service, number, bundle, model_data=model_data)
            for number, bundle in bundles.items()
            if number != active
        ],
        traffic=traffic(service),
        port=service.port or 0,
        path_prefix=path_prefix(service.compute_type, service.name),
        front_end=front_end(service),
        auth=auth_settings(service, trust=trust),
        **scoring_settings(service.deployment),
    )


def revision_settings(
    service: Service, number: int, bundle: Path, *, model_data: ModelData | None = None
) -> RevisionSettings:
    """The part of the settings that is one revision's; what a version of an endpoint decides is in it."""
    revision = service.revision(number)
    version = next((version for version in service.versions if version.revision == number), None)
    deployment = service.deployment if version is None else version.deployment
    return RevisionSettings(
        number=revision.number,
        bundle=str(bundle),
        interpreter=list(revision.interpreter),
        environment_variables={**identity(service, deployment, model_data), **revision.environment_variables},
        keeps_python_path=revision.keeps_python_path,
        **({} if version is None else version_settings(service.deployment, version.deployment)),
    )


def identity(service: Service, deployment: Deployment, model_data: ModelData | None = None) -> dict[str, str]:
    """What v1's scripts could find out about where they run, beside the scoring server's own variables
    (azureml-v1 reference, 11)."""
    placement = service.deployment.placement or Placement()
    told = {
        "SERVICE_ID": service.name,
        "COMPUTE_TYPE": service.compute_type,
        "COMPUTE_NAME": placement.compute_name,
        "COMPUTE_LOCATION": placement.location,
        "AML_MODEL_DC_STORAGE_ENABLED": "true" if deployment.collects_model_data else None,
        **(model_data.variables() if model_data and deployment.collects_model_data else {}),
    }
    return {name: value for name, value in told.items() if value is not None}


def traffic(service: Service) -> Traffic:
    """How the versions of an endpoint share the requests; of other services, all are the active revision's."""
    if not service.versions:
        return Traffic()
    weights = traffic_weights(service.versions, default=service.active_revision)
    return Traffic(weights=weights, version_header=VERSION_HEADER)


def auth_settings(service: Service, *, trust: Trust | None) -> AuthSettings:
    """Digests of the keys, or public keys of the workspace: what is secret stays in the workspace's database."""
    if service.deployment.token_auth_enabled and trust is not None:
        return AuthSettings(token=token_settings(trust(service.name)))
    if not service.deployment.auth_enabled or service.keys is None:
        return AuthSettings()
    keys = (service.keys.primary, service.keys.secondary)
    return AuthSettings(enabled=True, key_digests=[hashlib.sha256(key.encode()).hexdigest() for key in keys])


def token_settings(trusted: TokenTrust) -> TokenSettings:
    """Whose tokens the service is to accept."""
    keys = [
        TokenKey(
            kid=key.id,
            x=key.x,
            y=key.y,
            not_after=None if key.accepted_until is None else int(key.accepted_until.timestamp()),
        )
        for key in trusted.keys
    ]
    return TokenSettings(issuer=trusted.issuer, audience=trusted.audience, keys=keys)
