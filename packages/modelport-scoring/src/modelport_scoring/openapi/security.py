"""How the documents tell of the key, or of the token that stands in its place."""

from __future__ import annotations

from modelport_scoring.settings.service import ServiceSettings

BEARER = {"type": "apiKey", "name": "Authorization", "in": "header", "description": "For example: Bearer abc123"}


def requirements(service: ServiceSettings) -> list[dict[str, list[str]]]:
    """The key; and none as well where auth is off. The original named the key in either case (reference, 6.5), and
    clients made from the document then have a place to set it."""
    key: dict[str, list[str]] = {"Bearer": []}
    return [key] if service.auth.is_required else [key, {}]
