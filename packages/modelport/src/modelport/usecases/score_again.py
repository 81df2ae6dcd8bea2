"""Try a request again as v1's ``service.run`` did (azureml-v1 reference, 2.6.1)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from modelport.usecases.context import Context
from modelport.usecases.score import NO_HEADERS, BadResponse, score

PAUSES_S: dict[int, tuple[float, ...]] = {
    429: (20.0, 40.0, 80.0),
    500: (2.0, 4.0, 8.0),
    502: (0.0, 1.0, 2.0),
    503: (4.0, 8.0, 16.0),
    504: (0.0, 1.0, 2.0),
}
"""Seconds before the second, third and fourth attempt, by the status of the answer. Any other is final."""

UNAUTHORIZED = 401
"""Tried once more, with the keys as they are then: somebody may have made new ones meanwhile."""


def score_again(
    context: Context,
    name: str,
    body: str | bytes,
    *,
    headers: Mapping[str, str] = NO_HEADERS,
    pause: Callable[[float], None] = time.sleep,
) -> Any:
    """As ``score``, but up to four times: a script that raises is run as often. Raises what the last attempt raised."""
    failed: list[BadResponse] = []
    while True:
        try:
            return score(context, name, body, headers=headers)
        except BadResponse as error:
            wait_s = _pause(error.response_code, len(failed))
            if wait_s is None:
                raise
            failed.append(error)
            pause(wait_s)


def _pause(status: int, failures: int) -> float | None:
    if status == UNAUTHORIZED:
        return 0.0 if failures == 0 else None
    pauses = PAUSES_S.get(status, ())
    return pauses[failures] if failures < len(pauses) else None
