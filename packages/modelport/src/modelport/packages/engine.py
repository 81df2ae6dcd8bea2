"""A container engine of this machine, by its command: Docker's or Podman's, which take the same words."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelport.domain.errors import UserErrorException, WebserviceException
from modelport.domain.progress import Progress

COMMAND_VARIABLE = "MODELPORT_CONTAINER_ENGINE"
OPTIONS_VARIABLE = "MODELPORT_BUILD_OPTIONS"

_COMMANDS = ("docker", "podman")
_ANSWERS_WITHIN_S = 20
_SHOWN_LINES = 30


@dataclass(frozen=True)
class ContainerEngine:
    """One that answered."""

    command: str
    build_options: Sequence[str] = ()
    address: str | None = None
    """Where it listens; None: where its command looks for it."""

    @property
    def _begin(self) -> list[str]:
        return _begin(self.command, self.address)

    def build(self, context: Path, image: str, *, progress: Progress) -> None:
        """Build the image from the folder, its output as steps. Raises WebserviceException with the end of that."""
        progress.step(f"Building the image {image} with {self.command}")
        last: deque[str] = deque(maxlen=_SHOWN_LINES)
        command = [*self._begin, "build", *self.build_options, "--tag", image, str(context)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                last.append(line.rstrip())
                progress.step(line.rstrip())
        if process.returncode != 0:
            raise WebserviceException(
                f"The image {image} cannot be built: {self.command} ended with {process.returncode}.\n"
                + "\n".join(last),
                hint=f"Options for its build, such as --build-arg PIP_INDEX_URL=…, are taken from {OPTIONS_VARIABLE}.",
            )

    def load(self, archive: Path) -> None:
        """Have the image of an archive. Raises WebserviceException with what the engine said."""
        answer = subprocess.run([*self._begin, "load", "--input", str(archive)], capture_output=True, text=True)
        if answer.returncode != 0:
            raise WebserviceException(
                f"{self.command} does not load the image: {answer.stderr.strip() or answer.stdout.strip()}",
                hint="See that it has room left, and runs.",
            )

    def save(self, image: str, archive: Path) -> None:
        """Write an image that it has as an archive. Raises UserErrorException where it has none of that name."""
        answer = subprocess.run([*self._begin, "save", "--output", str(archive), image], capture_output=True, text=True)
        if answer.returncode != 0:
            raise UserErrorException(
                f"{self.command} does not give the image {image}: {answer.stderr.strip()}",
                hint=f"See what it has: {self.command} images.",
            )


def find_engine(environ: Mapping[str, str] = os.environ) -> ContainerEngine | None:
    """The one that ``MODELPORT_CONTAINER_ENGINE`` names, by its command or its address, or the first of Docker and
    Podman that answers.

    None where none does. Raises UserErrorException where the one that is named does not answer.
    """
    options = shlex.split(environ.get(OPTIONS_VARIABLE, ""))
    named = environ.get(COMMAND_VARIABLE)
    address = named if named and "/" in named and shutil.which(named) is None else None
    for command in [named] if named and address is None else _COMMANDS:
        if _answers(command, address):
            return ContainerEngine(command, options, address)
    if named:
        tried = _begin(_COMMANDS[0], address) if address else [named]
        raise UserErrorException(
            f"{COMMAND_VARIABLE} names {named!r}, which does not answer.",
            hint=f"Try: {' '.join(tried)} info. Without the variable the first of {', '.join(_COMMANDS)} that answers "
            "is used.",
        )
    return None


def _begin(command: str, address: str | None) -> list[str]:
    if address is None:
        return [command]
    return [command, "--remote", "--url", address] if command == "podman" else [command, "--host", address]


def _answers(command: str, address: str | None) -> bool:
    if shutil.which(command) is None:
        return False
    try:
        # Not --version: Docker's client tells that without its daemon too.
        answer = subprocess.run([*_begin(command, address), "info"], capture_output=True, timeout=_ANSWERS_WITHIN_S)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0
