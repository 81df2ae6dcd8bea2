"""``rawhttp``, and the request that it asks for."""

from azureml.contrib.services.aml_request import AMLRequest, rawhttp

__all__ = ["AMLRequest", "rawhttp"]
