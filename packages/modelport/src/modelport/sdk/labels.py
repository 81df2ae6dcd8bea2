"""Tags and properties, as scripts give them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from modelport.domain.errors import WebserviceException


def labels(given: Mapping[str, object] | None, *, what: str = "tags") -> dict[str, str]:
    """As they are kept: texts by texts. Raises WebserviceException for what is no dictionary."""
    if given is not None and not isinstance(given, Mapping):
        raise WebserviceException(
            f"{what} must be a dictionary; it is {given!r}.",
            hint=f"Write {what}={{'key': 'value'}}.",
        )
    return {str(key): str(value) for key, value in (given or {}).items()}


def label_keys(given: str | Iterable[str] | None) -> list[str]:
    """The keys that are to go. One text is one key: as a list of letters it would remove others."""
    return [given] if isinstance(given, str) else list(given or ())
