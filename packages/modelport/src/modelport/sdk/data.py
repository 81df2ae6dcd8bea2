"""Datastores and data sets: the same classes for the client and for scripts in any Python (azureml/_data)."""

from azureml._data.consumption import DatasetConsumptionConfig
from azureml._data.datasets import AbstractDataset, FileDataset, TabularDataset
from azureml._data.datastores import AzureBlobDatastore, AzureFileDatastore, Datastore
from azureml._data.factories import Dataset, FileDatasetFactory, TabularDatasetFactory
from azureml._data.output import OutputFileDatasetConfig
from azureml._data.references import DataPath, DataReference
from azureml._data.types import DataType, PromoteHeadersBehavior

__all__ = [
    "AbstractDataset",
    "AzureBlobDatastore",
    "AzureFileDatastore",
    "DataPath",
    "DataReference",
    "DataType",
    "Dataset",
    "DatasetConsumptionConfig",
    "Datastore",
    "FileDataset",
    "FileDatasetFactory",
    "OutputFileDatasetConfig",
    "PromoteHeadersBehavior",
    "TabularDataset",
    "TabularDatasetFactory",
]
