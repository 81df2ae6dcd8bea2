"""The OpenAPI documents: what they tell (``operations``), of which data (``samples``), and the dialects."""

from modelport_scoring.openapi.documents import (
    Documents,
    NoSuchDocument,
    check_user_documents,
    describe,
    find_user_documents,
)
from modelport_scoring.openapi.operations import normal_prefix

__all__ = ["Documents", "NoSuchDocument", "check_user_documents", "describe", "find_user_documents", "normal_prefix"]
