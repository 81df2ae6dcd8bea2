"""A fault of ours that costs one request goes to the log, and the others go on."""

from __future__ import annotations

import asyncio


def report_fault(what: str, error: Exception) -> None:
    """Have the event loop write it down, with its traceback."""
    asyncio.get_running_loop().call_exception_handler({"message": what, "exception": error})
