"""Data collection (azureml-v1 reference, 11): what a script is asked and what it answers, as CSV files."""

from azureml.monitoring._collector import ModelDataCollector

__all__ = ["ModelDataCollector"]
