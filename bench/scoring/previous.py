"""The sources of another revision, laid out to be served beside the working tree's."""

from __future__ import annotations

import subprocess
from pathlib import Path

from bench.scoring.environments import CACHE, ROOT


class NoSuchRevision(SystemExit):
    """git does not know it, or it has no packages."""


def packages_of(revision: str) -> Path:
    """The folder ``packages`` as it was in that revision. Raises NoSuchRevision."""
    commit = git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}").decode().strip()
    folder = CACHE / "revisions" / commit
    if not (folder / "packages").is_dir():
        # An archive, not a work tree: git keeps no note of it that would have to be cleared.
        archive = git("archive", "--format=tar", commit, "packages")
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["tar", "--extract", "--directory", str(folder)], input=archive, check=True)
    return folder / "packages"


def describe(revision: str) -> str:
    return git("log", "-1", "--format=%h %s", revision).decode().strip()


def git(*arguments: str) -> bytes:
    ended = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True)
    if ended.returncode:
        raise NoSuchRevision(f"bench: git {' '.join(arguments)}: {ended.stderr.decode().strip() or 'no such revision'}")
    return ended.stdout
