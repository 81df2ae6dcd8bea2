"""What the public door raises: one tree, each class a sentence that a caller can act on."""

from __future__ import annotations

from modelport_scoring.failures import Failure


class ScoringServiceError(Exception):
    """The base of everything below."""


class SettingsInvalid(ScoringServiceError):
    """``service.json`` is missing, cannot be read, or says what cannot be; the message names the file and the field."""


class SettingsUnread(SettingsInvalid):
    """A file that belongs to the settings cannot be read: what is in it may be as it should, and be read another time,
    once there is a descriptor to read it with, for example, or somebody has given the right to."""


class ServiceNotRunning(ScoringServiceError):
    """Nobody answers on the service's control socket."""


class ServiceAlreadyRunning(ScoringServiceError):
    """Another supervisor holds the lock of the service's folder."""


class SwitchInProgress(ScoringServiceError):
    """One switch at a time: another one has not ended yet."""


class SwitchFailed(ScoringServiceError):
    """The new revision did not start; the old one goes on. ``failure`` says why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class RequestRefused(ScoringServiceError):
    """The scoring server did not do what was asked; the message is its own."""
