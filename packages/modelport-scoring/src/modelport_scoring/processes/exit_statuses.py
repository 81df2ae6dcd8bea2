"""With which statuses our programs end, beside 0. Those of a scoring server tell its supervisor what is to follow."""

from __future__ import annotations

STATUS_FAILED = 1
"""A program could not serve, or its arguments are none."""

STATUS_SCRIPT_FAILED = 3
"""Where the script could not be started and the service ends with it; as the gunicorn of v1's images ended."""

STATUS_CANNOT_SERVE = 4
"""The scoring server's, where the settings do not allow it to serve; it has written why."""

STATUS_GIVEN_UP = 5
"""A scoring server's that is to be started anew."""
