"""Whole HTTP requests and responses for entry scripts: ``aml_request`` and ``aml_response``."""

__all__ = []
