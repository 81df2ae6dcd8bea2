"""Register one name from several processes at once: ``registering.py <database> <workspace> <processes> <times>``.

Prints the versions they got, one a line.
"""

from __future__ import annotations

import os
import sys

from modelport.domain.models import ModelDraft
from modelport.storage.sql import open_sql


def register(database: str, workspace: str, times: int) -> None:
    store = open_sql(database, workspace=workspace)
    for _ in range(times):
        version = store.add_model(ModelDraft(name="m", files=(), is_folder=False)).version
        os.write(1, f"{version}\n".encode())
    store.close()


def main(database: str, workspace: str, processes: str, times: str) -> int:
    children = []
    for _ in range(int(processes)):
        child = os.fork()
        if child == 0:
            register(database, workspace, int(times))
            os._exit(0)
        children.append(child)
    return max(os.waitpid(child, 0)[1] for child in children)


if __name__ == "__main__":
    sys.exit(1 if main(*sys.argv[1:]) else 0)
