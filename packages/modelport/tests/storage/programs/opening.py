"""Open a workspace of a database, from several processes at the same moment: ``opening.py <database> <processes>``.

Each prints a line of JSON: how many seconds of a processor it took, which workspace it got, and whether it had to
import Alembic.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
import time

import sqlalchemy.dialects.sqlite  # noqa: F401 - not counted below

from modelport.domain.workspaces import WorkspaceRecord
from modelport.storage.sql import open_sql


def open_workspace(database: str) -> None:
    begun = time.process_time()
    store = open_sql(database, workspace="w")
    took = time.process_time() - begun
    now = dt.datetime.now(dt.UTC)
    record = store.create_workspace(WorkspaceRecord(name="w", id=str(os.getpid()), created_time=now))
    store.close()
    outcome = {"took_s": took, "id": record.id, "alembic": "alembic" in sys.modules}
    os.write(1, (json.dumps(outcome) + "\n").encode())


def main(database: str, processes: str) -> int:
    waiting, start = os.pipe()
    children = []
    for _ in range(int(processes)):
        child = os.fork()
        if child == 0:
            os.close(start)
            os.read(waiting, 1)
            open_workspace(database)
            os._exit(0)
        children.append(child)
    os.close(start)  # they all read the end of the pipe now
    return max(os.waitpid(child, 0)[1] for child in children)


if __name__ == "__main__":
    sys.exit(1 if main(*sys.argv[1:]) else 0)
