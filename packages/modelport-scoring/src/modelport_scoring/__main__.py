"""``python -m modelport_scoring <service folder>``: the supervisor of that service, until it stops."""

from __future__ import annotations

import sys
from pathlib import Path

from modelport_scoring.errors import ServiceAlreadyRunning
from modelport_scoring.processes.exit_statuses import STATUS_FAILED
from modelport_scoring.supervision.supervisor import supervise

USAGE = "usage: python -m modelport_scoring <service folder>"
STATUS_USAGE = 2


def main() -> int:
    """Returns the exit status: 0 after a stop, 1 where the service cannot be served, 2 for wrong arguments."""
    arguments = sys.argv[1:]
    if arguments in (["-h"], ["--help"]):
        sys.stdout.write(f"{USAGE}\n\nThe folder holds service.json: docs/architecture/03-data-plane.md.\n")
        return 0
    if len(arguments) != 1:
        sys.stderr.write(f"{USAGE}\n")
        return STATUS_USAGE
    try:
        return supervise(Path(arguments[0]))
    except (ServiceAlreadyRunning, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return STATUS_FAILED


if __name__ == "__main__":
    sys.exit(main())
