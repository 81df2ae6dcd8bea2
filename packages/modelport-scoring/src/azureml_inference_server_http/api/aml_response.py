"""The response that a script makes itself."""

from azureml.contrib.services.aml_response import AMLResponse

__all__ = ["AMLResponse"]
