"""``orjson`` of the user's environment, or None."""

from typing import Any

try:
    import orjson as _orjson
except ImportError:
    _orjson = None  # type: ignore[assignment]

orjson: Any = _orjson
