"""Signing in, as v1 scripts do it (azureml-v1 reference, 2.16): accepted and kept; nobody is contacted.

A workspace on this machine belongs to the user who runs the program: there is nothing to sign in to.
"""

from __future__ import annotations

from collections.abc import Callable

NO_SIGN_IN = "modelport-needs-no-sign-in"
"""The token in the headers of those that would have to ask a cloud for one. No part of Modelport asks for it."""


class AbstractAuthentication:
    """What ``auth=`` takes."""

    def get_authentication_header(self) -> dict[str, str]:
        """``{"Authorization": "Bearer …"}``: a token of yours where one was given, else one that says there is none."""
        return {"Authorization": f"Bearer {self._token()}"}

    def _token(self) -> str:
        return NO_SIGN_IN

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"


class InteractiveLoginAuthentication(AbstractAuthentication):
    """v1's default. Nothing is opened and nobody is asked."""

    def __init__(self, force: bool = False, tenant_id: str | None = None, cloud: str | None = None) -> None:
        self.force, self.tenant_id, self.cloud = force, tenant_id, cloud


class AzureCliAuthentication(AbstractAuthentication):
    """The sign-in of the ``az`` command line, which is not looked at."""

    def __init__(self, cloud: str | None = None) -> None:
        self.cloud = cloud


class ServicePrincipalAuthentication(AbstractAuthentication):
    """A program's own identity, as CI systems have."""

    def __init__(
        self,
        tenant_id: str,
        service_principal_id: str,
        service_principal_password: str,
        cloud: str = "AzureCloud",
    ) -> None:
        self.tenant_id, self.service_principal_id, self.cloud = tenant_id, service_principal_id, cloud
        self._service_principal_password = service_principal_password


class MsiAuthentication(AbstractAuthentication):
    """The identity of a cloud machine."""

    def __init__(self, cloud: str | None = None) -> None:
        self.cloud = cloud


class ArmTokenAuthentication(AbstractAuthentication):
    """A token that the caller has got."""

    def __init__(self, arm_access_token: str) -> None:
        self._access_token = arm_access_token

    def update_arm_access_token(self, new_arm_access_token: str) -> None:
        """Take another token from now on."""
        self._access_token = new_arm_access_token

    def _token(self) -> str:
        return self._access_token


class TokenAuthentication(AbstractAuthentication):
    """A function of the caller's that gets a token for an audience."""

    AUDIENCE = "https://management.azure.com/"

    def __init__(self, get_token_for_audience: Callable[[str], str], cloud: str | None = None) -> None:
        self._get_token_for_audience, self.cloud = get_token_for_audience, cloud

    def _token(self) -> str:
        return self._get_token_for_audience(self.AUDIENCE)


class AzureMLTokenAuthentication(AbstractAuthentication):
    """The token of a run."""

    def __init__(
        self,
        azureml_access_token: str,
        expiry_time: object = None,
        host: str | None = None,
        subscription_id: str | None = None,
        resource_group_name: str | None = None,
        workspace_name: str | None = None,
        experiment_name: str | None = None,
        run_id: str | None = None,
    ) -> None:
        self._access_token = azureml_access_token
        self.expiry_time, self.host = expiry_time, host
        self.subscription_id, self.resource_group_name = subscription_id, resource_group_name
        self.workspace_name, self.experiment_name, self.run_id = workspace_name, experiment_name, run_id

    def _token(self) -> str:
        return self._access_token
