"""The secrets of a workspace: the same class for the client and for scripts in any Python."""

from azureml._keyvault import Keyvault

__all__ = ["Keyvault"]
