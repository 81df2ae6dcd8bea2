"""The program that drives one submitted run: ``python -m modelport.sdk.runs.driver FOLDER DESCRIPTOR``."""

from __future__ import annotations

import os
import sys

from azureml._runs.folder import RunFolder
from modelport.composition import Installation
from modelport.environments.chooser import LocalEnvironments
from modelport.usecases.drive_run import drive


def main(arguments: list[str]) -> None:
    """``DESCRIPTOR`` holds the lock of the run: it goes with this process, and no other gets it."""
    folder, descriptor = arguments
    os.set_inheritable(int(descriptor), False)
    drive(RunFolder.at(folder), LocalEnvironments(Installation.from_environment().home))


if __name__ == "__main__":
    main(sys.argv[1:])
