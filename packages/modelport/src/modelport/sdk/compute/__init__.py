"""Compute targets by the names that v1 had for them (azureml-v1 reference, 2.11)."""

from modelport.sdk.compute.aks import AksCompute, AksUpdateConfiguration, SslConfiguration
from modelport.sdk.compute.attached import (
    AdlaCompute,
    BatchCompute,
    DatabricksCompute,
    DataFactoryCompute,
    DsvmCompute,
    HDInsightCompute,
    KubernetesCompute,
    KustoCompute,
    RemoteCompute,
    SynapseCompute,
)
from modelport.sdk.compute.local_target import LocalTarget
from modelport.sdk.compute.target import ComputeTarget, ComputeTargetConfiguration
from modelport.sdk.compute.training import AmlCompute, AmlComputeStatus, ComputeInstance, ScaleSettings

__all__ = [
    "AdlaCompute",
    "AksCompute",
    "AksUpdateConfiguration",
    "AmlCompute",
    "AmlComputeStatus",
    "BatchCompute",
    "ComputeInstance",
    "ComputeTarget",
    "ComputeTargetConfiguration",
    "DataFactoryCompute",
    "DatabricksCompute",
    "DsvmCompute",
    "HDInsightCompute",
    "KubernetesCompute",
    "KustoCompute",
    "LocalTarget",
    "RemoteCompute",
    "ScaleSettings",
    "SslConfiguration",
    "SynapseCompute",
]
