"""Profiles: what a model's service was measured to need (azureml-v1 reference, 8)."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from enum import StrEnum

from modelport.domain.errors import WebserviceException

LEAST_CPU, MOST_CPU = 0.1, 3.5
LEAST_MEMORY_GB, MOST_MEMORY_GB = 0.1, 15.0
"""What a profile can be made with; without a word, it is made with the most."""

HEADROOM = 1.2
"""What is recommended is so much more than what was used at most."""


class ProfileState(StrEnum):
    """How a profile stands."""

    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"

    @property
    def is_final(self) -> bool:
        return self is not ProfileState.RUNNING


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What was seen while requests were sent, one after the other."""

    total_queries: int
    success_queries: int
    average_latency_ms: float
    latency_percentiles_ms: dict[str, float]
    """By v1's words for them: ``50``, ``90``, ``95``, ``99``, ``999``."""
    queries_per_second: float
    max_cpu: float
    """Cores, over half a second."""
    max_memory_gb: float
    """Of all processes of the service together, at their peaks; 1 GB is 2**30 bytes."""

    @property
    def success_rate(self) -> float:
        """Percent."""
        return 100.0 * self.success_queries / self.total_queries


@dataclass(frozen=True, kw_only=True)
class ProfileContent:
    """All of a profile but its name and times: what the workspace keeps as the body of an asset."""

    folder: str
    """Name of the folder below the workspace's ``profiles``, where the logs are."""
    model_ids: tuple[str, ...]
    requested_cpu: float
    requested_memory_gb: float
    input_dataset_id: str | None = None
    description: str | None = None
    environment_name: str | None = None
    environment_version: str | None = None
    state: ProfileState = ProfileState.RUNNING
    error: str | None = None
    measured: Measurement | None = None

    @property
    def recommended_cpu(self) -> float | None:
        """Cores; None where nothing was measured."""
        if self.measured is None:
            return None
        return recommended(self.measured.max_cpu, least=LEAST_CPU, most=self.requested_cpu)

    @property
    def recommended_memory_gb(self) -> float | None:
        if self.measured is None:
            return None
        return recommended(self.measured.max_memory_gb, least=LEAST_MEMORY_GB, most=self.requested_memory_gb)


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A profile. It does not change once it is made, well or not."""

    name: str
    content: ProfileContent
    created_time: dt.datetime
    created_by: str


def check_resources(cpu: float | None, memory_gb: float | None) -> tuple[float, float]:
    """What the profile is to be made with. Raises WebserviceException for what is out of range."""
    chosen_cpu = MOST_CPU if cpu is None else cpu
    chosen_memory = MOST_MEMORY_GB if memory_gb is None else memory_gb
    _check("cpu", chosen_cpu, LEAST_CPU, MOST_CPU)
    _check("memory_in_gb", chosen_memory, LEAST_MEMORY_GB, MOST_MEMORY_GB)
    return float(chosen_cpu), float(chosen_memory)


def _check(what: str, number: object, least: float, most: float) -> None:
    is_number = isinstance(number, int | float) and not isinstance(number, bool)
    if not is_number or not least <= number <= most:  # type: ignore[operator]
        raise WebserviceException(
            f"Invalid {what} {number!r}: a profile is made with {least:g} to {most:g}.",
            hint=f"Leave {what} out: it is {most:g} then.",
        )


def recommended(used: float, *, least: float, most: float) -> float:
    """What was used and the headroom, in tenths, rounded up; never more than what the profile was made with."""
    return min(max(math.ceil(round(used * HEADROOM * 10, 6)) / 10, least), most)
