"""Gets a Python that the machine lacks: from uv's builds; a version that uv has no build of, from a conda channel.

Nothing here happens unless somebody asks for it, by ``modelport environment install-python`` or by the variable.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from modelport.domain.errors import EnvironmentException, ResolutionFailed
from modelport.domain.progress import Progress
from modelport.environments.channels import DEFAULT_CHANNEL, CondaChannels, Unsolvable
from modelport.environments.probe import OLDEST, FoundPython, probe
from modelport.environments.uv import run_uv

DOWNLOADS_VARIABLE = "MODELPORT_PYTHON_DOWNLOADS"
_WORDS = ("never", "automatic")
_VERSION = re.compile(r"\d+\.\d+(\.\d+)?")


def downloads_allowed(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether a Python may be downloaded where an environment asks for one that is not there.

    Raises EnvironmentException for a word that is neither ``never`` nor ``automatic``.
    """
    said = (environ.get(DOWNLOADS_VARIABLE) or _WORDS[0]).lower()
    if said not in _WORDS:
        raise EnvironmentException(f"{DOWNLOADS_VARIABLE} is {said!r}.", hint=f"It may be: {', '.join(_WORDS)}.")
    return said == "automatic"


def how_to_get(minor: str) -> str:
    """What to try where a Python is missing."""
    return (
        f"Get it: modelport environment install-python {minor} (from uv's builds or conda-forge, into Modelport's own "
        f"folder), or set {DOWNLOADS_VARIABLE}=automatic. Any Python is found that is on PATH as python{minor} or that "
        "pyenv installed. Or ask for one that is there."
    )


class PythonInstaller:
    """Installs Pythons below ``folder``, each in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def install(self, version: str, *, channels: Sequence[str] = (), progress: Progress) -> FoundPython:
        """A Python of that version (``3.6`` or ``3.6.15``). With ``channels``, from those conda channels and no other
        place.

        Raises EnvironmentException: for a version that no worker runs on, and, with what each place answered, where it
        cannot be had.
        """
        _check(version)
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / ".modelport.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            said = []
            if not channels:
                found, complaint = self._from_uv(version, progress)
                if found:
                    return found
                said.append(complaint)
            found, complaint = self._from_conda(version, channels or (DEFAULT_CHANNEL,), progress)
            if found:
                return found
        raise _not_to_be_had(version, [*said, complaint])

    def _from_uv(self, version: str, progress: Progress) -> tuple[FoundPython | None, str]:
        progress.step(f"Asking uv for a build of Python {version}")
        before = set(self._folder.iterdir())
        answer = run_uv(
            *("python", "install", "--no-bin", "--install-dir", str(self._folder), version),
            cwd=self._folder,
            indexes=False,
            variables={"UV_PYTHON_DOWNLOADS": "manual"},
        )
        if not answer.succeeded:
            return None, f"uv: {_first_lines(answer.complaint)}"
        fresh = [folder for folder in self._folder.glob("[!.]*/bin") if folder.parent not in before]
        folders = fresh or sorted(self._folder.glob(f"cpython-{version}*/bin"))
        return (probe(str(folders[-1] / "python")), "") if folders else (None, "uv: it said nothing of a place")

    def _from_conda(self, version: str, channels: Sequence[str], progress: Progress) -> tuple[FoundPython | None, str]:
        progress.step(f"Asking {', '.join(channels)} for a package of Python {version}")
        place = CondaChannels(self._folder.parent / "conda-packages")
        try:
            records = place.solve([f"python={version}"], channels)
            exact = next(str(record["version"]) for record in records if record["name"] == "python")
            return self._placed(place, records, f"conda-{exact}"), ""
        except ResolutionFailed as error:
            return None, f"conda: {_first_lines(error.message)}"
        except Unsolvable as error:
            return None, f"conda: {_first_lines(str(error))}"

    def _placed(self, place: CondaChannels, records: Sequence[dict[str, object]], name: str) -> FoundPython:
        target = self._folder / name
        if not target.exists():
            draft = Path(tempfile.mkdtemp(prefix=".new-", dir=self._folder))
            try:
                place.install(records, draft, moved_to=target)
                draft.rename(target)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
        return probe(str(target / "bin" / "python"))


def _check(version: str) -> None:
    if not _VERSION.fullmatch(version):
        raise EnvironmentException(f"{version!r} is no version of Python.", hint="Write it as 3.6 or 3.6.15.")
    numbers = tuple(int(number) for number in version.split("."))
    if numbers[:2] < OLDEST:
        raise EnvironmentException(
            f"Entry scripts run on Python {OLDEST[0]}.{OLDEST[1]} and newer, not on {version}.",
            hint="Ask for a newer one.",
        )


def _first_lines(text: str) -> str:
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    return "\n  ".join(lines[:3])


def _not_to_be_had(version: str, said: Sequence[str]) -> EnvironmentException:
    return EnvironmentException(
        f"Python {version} cannot be downloaded.\n" + "\n".join(said),
        hint="Where the network does not reach these places: name a mirror of uv's builds by UV_PYTHON_INSTALL_MIRROR, "
        f"or a conda channel that is reached by --channel URL; build it with pyenv (pyenv install {version}); or put "
        f"any Python {version} on PATH as python{'.'.join(version.split('.')[:2])}.",
    )
