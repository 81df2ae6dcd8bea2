"""Fuzz one target, until something is found or as libFuzzer's flags say:

python -m fuzz http_reader fuzz/corpus/http_reader -max_total_time=60
"""

from __future__ import annotations

import importlib
import logging
import shlex
import sys

import atheris

from fuzz.catalogue import TARGETS


def main() -> None:
    """Load the target so that its coverage is seen, and hand it to libFuzzer."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in TARGETS:
        raise SystemExit(f"usage: python -m fuzz TARGET [FOLDER…] [-FLAG=VALUE…], TARGET: {', '.join(TARGETS)}")
    with atheris.instrument_imports(include=list(TARGETS[name])):
        target = importlib.import_module(f"fuzz.targets.{name}")
    logging.disable(logging.WARNING)  # what is said of damaged requests
    again = f"{shlex.quote(sys.executable)} -m fuzz {name}"  # what libFuzzer starts where it merges
    atheris.Setup([again, *sys.argv[2:]], target.check_one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
