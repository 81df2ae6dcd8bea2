"""Arguments of v1 that name what only its cloud had: accepted, so that scripts run, and said to be without effect."""

from __future__ import annotations

from collections.abc import Mapping

WORKSPACE_ARGUMENTS = (
    "storage_account",
    "key_vault",
    "app_insights",
    "container_registry",
    "adb_workspace",
    "primary_user_assigned_identity",
    "cmk_keyvault",
    "resource_cmk_uri",
    "hbi_workspace",
    "default_cpu_compute_target",
    "default_gpu_compute_target",
    "private_endpoint_config",
    "private_endpoint_auto_approval",
    "user_assigned_identity_for_cmk_encryption",
    "system_datastores_auth_mode",
)
"""Of ``Workspace.create``."""


def without_effect(given: Mapping[str, object], *, known: tuple[str, ...], function: str) -> list[str]:
    """Those that ask for something. Raises TypeError for a name that v1 did not have either."""
    for name in given:
        if name not in known:
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}")
    return [name for name, value in given.items() if value]
