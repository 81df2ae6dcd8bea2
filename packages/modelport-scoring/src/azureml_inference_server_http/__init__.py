"""The name of v1's server package: for ``python -m azureml_inference_server_http``, which is ``azmlinfsrv``, and for
code outside of a service that imports what entry scripts do (azureml-v1 reference, 6.7)."""

__version__ = "0.1.0"
"""That of ``modelport_scoring``, which is not loaded for it: a worker may import this."""
