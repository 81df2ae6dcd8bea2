"""``python -m modelport_scoring.fetch --settings FILE``: the program of an init container."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from modelport_scoring.container.last_word import leave_last_word
from modelport_scoring.errors import SettingsInvalid
from modelport_scoring.fetch.failures import FetchFailed, named
from modelport_scoring.fetch.placing import place_bundle, place_environment
from modelport_scoring.fetch.settings import FetchSettings, read_fetch_settings
from modelport_scoring.logs.journal import say

STATUS_SETTINGS = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0 once everything is there, 1 where it cannot be fetched, 2 for settings that cannot be,
    3 where what came is not what was asked for, 4 where it cannot be written."""
    parser = argparse.ArgumentParser(
        prog="python -m modelport_scoring.fetch", description="Fetch what a container is to serve."
    )
    parser.add_argument("--settings", type=Path, required=True, help="file of JSON that says what (docs/packages.md)")
    arguments = parser.parse_args(argv)
    try:
        fetch_all(read_fetch_settings(arguments.settings))
    except SettingsInvalid as error:
        return end_with(STATUS_SETTINGS, f"the settings cannot be used: {error}")
    except FetchFailed as error:
        return end_with(error.status, f"nothing is served: {error}")
    return 0


def fetch_all(settings: FetchSettings) -> None:
    """Raises FetchFailed."""
    if settings.bundle is not None:
        bundle = settings.bundle
        tell(bundle.url, bundle.to, lambda: place_bundle(bundle, patience_s=settings.patience_s))
    if settings.environment is not None:
        environment = settings.environment
        tell(environment.url, environment.to, lambda: place_environment(environment, patience_s=settings.patience_s))


def tell(url: str, to: str, work: Callable[[], bool]) -> None:
    """Do it, and say what was done."""
    begun = time.monotonic()
    if work():
        say(f"{named(url)} is in {to}, verified, after {time.monotonic() - begun:.1f} s")
    else:
        say(f"{to} is there already, and as it should be")


def end_with(status: int, text: str) -> int:
    """Say why, also to whoever looks at a container that has ended."""
    say(text)
    leave_last_word(text)
    return status


if __name__ == "__main__":
    sys.exit(main())
