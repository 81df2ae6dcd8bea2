"""What ``doctor`` says of one thing that it looked at."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    OK = "ok"
    WARNING = "warning"
    """Something will not work, but most will."""
    PROBLEM = "problem"


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was looked at. ``hint`` is one thing to try, empty where all is well."""

    name: str
    verdict: Verdict
    finding: str
    hint: str = ""


def ok(name: str, finding: str) -> Check:
    return Check(name=name, verdict=Verdict.OK, finding=finding)


def warning(name: str, finding: str, hint: str) -> Check:
    return Check(name=name, verdict=Verdict.WARNING, finding=finding, hint=hint)


def problem(name: str, finding: str, hint: str) -> Check:
    return Check(name=name, verdict=Verdict.PROBLEM, finding=finding, hint=hint)
