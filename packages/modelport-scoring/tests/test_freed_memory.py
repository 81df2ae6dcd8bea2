"""Memory that an idle server gives back."""

from __future__ import annotations

import subprocess
import sys

HOLES = """
import ctypes, psutil
from modelport_scoring.freed_memory import QUIET_LOOKS, IdleMemory, keep_freed_memory

def resident():
    return psutil.Process().memory_info().rss

keep_freed_memory()
at = 0
memory = IdleMemory(lambda: at)
library = ctypes.CDLL(None)
library.malloc.restype, library.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
begun = resident()
bodies, small = [], []
for _ in range(1000):
    bodies.append(library.malloc(100_000))
    ctypes.memset(ctypes.c_void_p(bodies[-1]), 1, 100_000)
    small.append(library.malloc(5_000))
for body in bodies:
    library.free(body)
for _ in range(10):  # something happens each time
    at += 1
    memory.look()
assert resident() - begun > 90_000_000, resident() - begun
for _ in range(QUIET_LOOKS):
    memory.look()
assert resident() - begun < 20_000_000, resident() - begun
"""


def test_holes_in_the_heap_are_given_back_once_nothing_happens() -> None:
    subprocess.run([sys.executable, "-c", HOLES], check=True)
