"""Times as runs keep them: ISO 8601, UTC, with microseconds and a Z, as v1 gave them."""

import datetime as dt


def now() -> str:
    """This moment, such as ``2019-12-04T20:19:40.123456Z``."""
    return dt.datetime.now(dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
