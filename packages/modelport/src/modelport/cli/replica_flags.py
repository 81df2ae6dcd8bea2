"""Replicas of services that were meant for a cloud, as options (azureml-v1 reference: 3.6)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, Any

import typer

from modelport.cli.options import Truth, is_true

_PANEL = "Replicas (aci, aks)"


def _option(*names: str, help: str) -> Any:
    return typer.Option(*names, help=help, case_sensitive=False, rich_help_panel=_PANEL)


def said(group: Any) -> dict[str, Any]:
    """The fields of a group of options by their names; true and false as such."""
    values = {each.name: getattr(group, each.name) for each in fields(group)}
    return {name: is_true(value) if isinstance(value, Truth) else value for name, value in values.items()}


@dataclass(frozen=True, kw_only=True)
class ReplicaFlags:
    """What a replica may use, how many there are, and how it is asked whether it lives."""

    cpu_cores: Annotated[float | None, _option("--cpu-cores", "--cc", help="CPU cores of a replica; 0.1 without.")] = (
        None
    )
    cpu_cores_limit: Annotated[float | None, _option("--cpu-cores-limit", "--ccl", help="At most so many.")] = None
    memory_gb: Annotated[
        float | None, _option("--memory-gb", "--gb", help="Memory of a replica in GB; 0.5 without.")
    ] = None
    memory_gb_limit: Annotated[float | None, _option("--memory-gb-limit", "--gbl", help="At most so much.")] = None
    autoscale_enabled: Annotated[
        Truth | None,
        _option("--autoscale-enabled", "--as", help="As many replicas as the load needs; true without --num-replicas."),
    ] = None
    autoscale_min_replicas: Annotated[
        int | None, _option("--autoscale-min-replicas", "--mi", help="At least so many; 1 without.")
    ] = None
    autoscale_max_replicas: Annotated[
        int | None, _option("--autoscale-max-replicas", "--ma", help="At most so many; 10 without.")
    ] = None
    autoscale_refresh_seconds: Annotated[
        float | None, _option("--autoscale-refresh-seconds", "--ar", help="How often that is decided; 1 without.")
    ] = None
    autoscale_target_utilization: Annotated[
        float | None,
        _option("--autoscale-target-utilization", "--at", help="Percent of them to be busy; 70 without."),
    ] = None
    num_replicas: Annotated[int | None, _option("--num-replicas", "--nr", help="A fixed number of replicas.")] = None
    collect_model_data: Annotated[
        Truth | None, _option("--collect-model-data", "--md", help="Keep what the script collects; false without.")
    ] = None
    period_seconds: Annotated[
        float | None, _option("--period-seconds", "--ps", help="Liveness probe: seconds between two; 10 without.")
    ] = None
    initial_delay_seconds: Annotated[
        float | None, _option("--initial-delay-seconds", "--id", help="Seconds before the first; 310 without.")
    ] = None
    timeout_seconds: Annotated[
        float | None, _option("--timeout-seconds", "--ts", help="Seconds until it times out; 2 without.")
    ] = None
    success_threshold: Annotated[
        int | None, _option("--success-threshold", "--st", help="Successes that make it live; 1 without.")
    ] = None
    failure_threshold: Annotated[
        int | None, _option("--failure-threshold", "--ft", help="Failures that make it dead; 3 without.")
    ] = None


@dataclass(frozen=True, kw_only=True)
class PlacementFlags:
    """Names that a cloud gave a meaning; they are kept and shown."""

    location: Annotated[str | None, _option("--location", "--lo", help="Region of a container instance.")] = None
    dns_name_label: Annotated[str | None, _option("--dns-name-label", "--dn", help="Its DNS label.")] = None
    namespace: Annotated[str | None, _option("--namespace", help="Namespace of a cluster.")] = None
    vnet_name: Annotated[str | None, _option("--vnet-name", help="Virtual network of a container instance.")] = None
    subnet_name: Annotated[str | None, _option("--subnet-name", help="Its subnet.")] = None
    cmk_vault_base_url: Annotated[str | None, _option("--cmk-vault-base-url", help="Vault of an own key.")] = None
    cmk_key_name: Annotated[str | None, _option("--cmk-key-name", help="Name of that key.")] = None
    cmk_key_version: Annotated[str | None, _option("--cmk-key-version", help="Its version.")] = None
