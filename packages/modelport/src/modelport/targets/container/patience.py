"""Questions to an engine whose line drops one now and then."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import requests
from docker.errors import APIError

Answer = TypeVar("Answer")

_TRIES = 6
_PAUSE_S = 0.5


def patiently(ask: Callable[[], Answer]) -> Answer:
    """Ask again where the question was lost on its way, or the engine failed at it; a refusal is final.

    Raises what ``ask`` does where that goes on for seconds.
    """
    for _ in range(_TRIES - 1):
        try:
            return ask()
        except APIError as error:
            if not error.is_server_error():
                raise
        except requests.exceptions.RequestException:
            pass
        time.sleep(_PAUSE_S)
    return ask()
