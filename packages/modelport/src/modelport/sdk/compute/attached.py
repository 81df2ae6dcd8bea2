"""Machines and services of others that v1 could attach: names that are kept, and nothing is contacted (2.11)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from modelport.sdk.compute.target import ComputeTarget, ComputeTargetConfiguration
from modelport.sdk.compute.training import configuration_of

_KEPT = "nothing is done on it: it is not contacted, and runs that are sent to it run on this machine"


class KubernetesCompute(ComputeTarget):
    """A cluster of somebody else's by its name."""

    _compute_type: ClassVar[str] = "Kubernetes"
    _instead: ClassVar[str] = _KEPT

    @staticmethod
    def attach_configuration(
        resource_id: str | None = None,
        namespace: str | None = None,
        default_instance_type: str | None = None,
        instance_types: Mapping[str, Any] | None = None,
        identity_type: str | None = None,
        identity_ids: Sequence[str] | None = None,
    ) -> ComputeTargetConfiguration:
        """A configuration of the cluster, kept and shown."""
        return configuration_of(KubernetesCompute, locals(), is_attached=True)


class _Attachable(ComputeTarget):
    """What is attached with the words that it had in v1; they are not checked, and passwords are not kept."""

    _instead: ClassVar[str] = _KEPT

    @classmethod
    def attach_configuration(cls, **settings: Any) -> ComputeTargetConfiguration:
        """A configuration of the target, kept and shown."""
        return configuration_of(cls, settings, is_attached=True)

    @classmethod
    def provisioning_configuration(cls, **settings: Any) -> ComputeTargetConfiguration:
        """A configuration of the target, kept and shown."""
        return configuration_of(cls, settings)


class RemoteCompute(ComputeTarget):
    """A machine by its name."""

    _instead: ClassVar[str] = _KEPT
    _compute_type: ClassVar[str] = "VirtualMachine"

    @staticmethod
    def attach_configuration(
        username: str | None = None,
        address: str | None = None,
        ssh_port: int = 22,
        password: str = "",
        private_key_file: str = "",
        private_key_passphrase: str = "",
        resource_id: str | None = None,
    ) -> ComputeTargetConfiguration:
        """A configuration of the machine, kept and shown; passwords are not kept, and nothing is contacted."""
        return configuration_of(RemoteCompute, locals(), is_attached=True)


class DsvmCompute(RemoteCompute):
    """A machine for data science by its name; found again, it is a RemoteCompute."""


class HDInsightCompute(_Attachable):
    """A cluster of HDInsight by its name."""

    _compute_type: ClassVar[str] = "HDInsight"


class DatabricksCompute(_Attachable):
    """A workspace of Databricks by its name."""

    _compute_type: ClassVar[str] = "Databricks"


class DataFactoryCompute(_Attachable):
    """A data factory by its name."""

    _compute_type: ClassVar[str] = "DataFactory"


class AdlaCompute(_Attachable):
    """An account of Data Lake Analytics by its name."""

    _compute_type: ClassVar[str] = "DataLakeAnalytics"


class BatchCompute(_Attachable):
    """An account of Batch by its name."""

    _compute_type: ClassVar[str] = "Batch"


class KustoCompute(_Attachable):
    """A cluster of Kusto by its name."""

    _compute_type: ClassVar[str] = "Kusto"


class SynapseCompute(_Attachable):
    """A Spark pool of Synapse by its name."""

    _compute_type: ClassVar[str] = "SynapseSpark"
