"""The thread that writes what was collected, so that no request waits for a disk."""

import atexit
import collections
import os
import sys
import threading
import time
from typing import Deque, Dict, List, NamedTuple, Tuple

from azureml.monitoring._files import CsvFiles
from azureml.monitoring._rows import Table
from azureml.monitoring._text import csv_text, header_text

MOST_CELLS = 1000000
"""So many values may wait for the writer, in this process; what comes then is dropped."""
TOLD_EVERY_S = 60.0
"""How often the log may speak of rows that were lost."""
GATHERS_S = 0.25
"""How long rows wait for others: a thread that woke up for each request would take its time from the next one."""
LEAVES_AFTER_S = 2.0
"""How long a process that ends waits for the writer; a worker that was told to stop is ended a second later."""


class Record(NamedTuple):
    """A table, and where it goes: a file whose name begins with ``stem``, in ``folder`` below ``root``."""

    root: str
    folder: str
    stem: str
    table: Table


class Writer:
    """Of one process. ``put`` never blocks and never raises."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: Deque[Record] = collections.deque()
        self._cells = 0
        self._writing = False
        self._started = False
        self._hurries = 0
        self._pid = os.getpid()
        self._lost: Dict[str, int] = {}
        self._told_at = -TOLD_EVERY_S
        self._files = CsvFiles()

    def put(self, record: Record) -> None:
        """Have it written; dropped where too much waits already."""
        with self._changed:
            if self._waiting and self._cells + record.table.cells > MOST_CELLS:
                self._count_lost(len(record.table.rows), "they came faster than they can be written")
                return
            self._waiting.append(record)
            self._cells += record.table.cells
            if not self._started:
                self._start()
            if len(self._waiting) == 1:
                self._changed.notify_all()

    def flush(self, within_s: float = LEAVES_AFTER_S) -> bool:
        """Wait until all is written; whether it is. In a fork there is nothing to wait for."""
        if os.getpid() != self._pid:
            return True
        deadline = time.monotonic() + within_s
        with self._changed:
            self._hurries += 1
            self._changed.notify_all()
            while self._waiting or self._writing:
                left = deadline - time.monotonic()
                if left <= 0:
                    rows = sum(len(record.table.rows) for record in self._waiting)
                    self._count_lost(rows, "the process ends", now=True)
                    return False
                self._changed.wait(left)
            self._tell_lost()
            return True

    def _start(self) -> None:
        self._started = True
        threading.Thread(target=self._run, name="model data collection", daemon=True).start()
        atexit.register(self.flush)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._writing = False
                self._changed.notify_all()
                while not self._waiting:
                    self._changed.wait()
                self._gather()
                records = list(self._waiting)
                self._waiting.clear()
                self._cells = 0
                self._writing = True
            for group in _together(records):
                self._write(group)

    def _gather(self) -> None:
        """Let more come, unless somebody waits for what is there, or it is much."""
        deadline, hurries = time.monotonic() + GATHERS_S, self._hurries
        while self._hurries == hurries and self._cells < MOST_CELLS // 4:
            left = deadline - time.monotonic()
            if left <= 0 or not self._changed.wait(left):
                return

    def _write(self, records: List[Record]) -> None:
        first = records[0]
        try:
            rows = "".join([csv_text(record.table, header=False) for record in records])
            folder = os.path.join(first.root, first.folder)
            self._files.append(folder, first.stem, header=header_text(first.table), rows=rows)
        except Exception as error:
            with self._changed:
                lost = sum(len(record.table.rows) for record in records)
                self._count_lost(lost, "{}: {}".format(type(error).__name__, error))

    def _count_lost(self, rows: int, why: str, *, now: bool = False) -> None:
        self._lost[why] = self._lost.get(why, 0) + rows
        if now or time.monotonic() - self._told_at >= TOLD_EVERY_S:
            self._tell_lost()

    def _tell_lost(self) -> None:
        lost, self._lost = self._lost, {}
        for why, rows in lost.items():
            self._told_at = time.monotonic()
            sys.stdout.write("ModelDataCollector: {} rows were dropped: {}\n".format(rows, why))


def _together(records: List[Record]) -> List[List[Record]]:
    """Those of a file in one list, in their order, so that it is opened once for them."""
    groups: Dict[Tuple[object, ...], List[Record]] = collections.OrderedDict()
    for record in records:
        key = (record.root, record.folder, record.stem, tuple(record.table.names))
        groups.setdefault(key, []).append(record)
    return list(groups.values())


_writers: Dict[int, Writer] = {}
"""By process id: a fork has neither the thread nor what waits for it."""


def give(record: Record) -> None:
    """Have this process's writer write it."""
    writer = _writers.get(os.getpid())
    if writer is None:
        writer = _writers.setdefault(os.getpid(), Writer())
    writer.put(record)
