"""What is brought up for settings that are not in force yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from modelport_scoring.revisions.hosted import Hosted
from modelport_scoring.settings.service import ServiceSettings, WorkerOptions


class Preparations:
    """By their numbers, the revisions that have workers, or will have, and get no requests before they are hosted; and
    for which settings others are asked for."""

    def __init__(self) -> None:
        self._brought_up: dict[int, Hosted] = {}
        self._asked: list[ServiceSettings] = []
        """Some may not have begun yet."""
        self._times_given_up = 0

    @property
    def all(self) -> list[Hosted]:
        """What is being brought up, or is."""
        return [*self._brought_up.values()]

    def __contains__(self, number: int) -> bool:
        return number in self._brought_up

    @contextmanager
    def asked(self, settings: ServiceSettings) -> Iterator[Callable[[], bool]]:
        """While what these settings need is brought up. Gives a function that tells whether that was given up since."""
        before = self._times_given_up
        self._asked.append(settings)
        try:
            yield lambda: self._times_given_up != before
        finally:
            self._asked.remove(settings)

    def add(self, prepared: Hosted) -> None:
        self._brought_up[prepared.number] = prepared

    def forget(self, prepared: Hosted) -> None:
        """It does not come up. Others may have its place by now."""
        if self._brought_up.get(prepared.number) is prepared:
            del self._brought_up[prepared.number]

    def has(self, number: int, options: WorkerOptions) -> bool:
        """Whether that revision is brought up with workers of that kind."""
        prepared = self._brought_up.get(number)
        return prepared is not None and prepared.options == options

    def take(self, number: int) -> Hosted:
        """To host it."""
        return self._brought_up.pop(number)

    def give_up(self) -> list[Hosted]:
        """All of it, what was only asked for as well. Returns what is to be ended."""
        self._times_given_up += 1
        given_up = self.all
        self._brought_up.clear()
        return given_up

    def are_for(self, settings: ServiceSettings, *, hosted: Callable[[int], Hosted | None]) -> bool:
        """Whether all of it is what these settings need besides what is hosted."""
        numbers, options = numbers_of(settings), settings.worker_options
        for number, prepared in self._brought_up.items():
            present = hosted(number)
            if number not in numbers or prepared.options != options or (present and present.options == options):
                return False
        return all(numbers_of(asked) <= numbers and asked.worker_options == options for asked in self._asked)


def numbers_of(settings: ServiceSettings) -> set[int]:
    return {revision.number for revision in settings.revisions}
