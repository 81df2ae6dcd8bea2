"""The bare model: how often a second its ``run()`` can be called with nothing around it.

    python bare.py busy.py 5

Runs in the worker's environment, and prints the number.
"""

import runpy
import sys
import time

import numpy as np


def main():
    script, seconds = sys.argv[1], float(sys.argv[2])
    entry = runpy.run_path(script)
    entry["init"]()
    row = np.arange(10.0).reshape(1, 10)
    calls, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        entry["run"](row)
        calls += 1
    print(calls / (time.perf_counter() - began))


main()
