"""The ``azureml`` names that entry scripts import, served by Modelport.

What an environment has of other ``azureml`` distributions stays importable beside them; where both have a module of
the same name, this package's is taken.
"""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)

__all__ = []
