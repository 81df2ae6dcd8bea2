"""What a failed deployment says, and what it says once."""

from __future__ import annotations

import pytest

from modelport.domain.errors import WebserviceException
from modelport.domain.failures import Failure, Phase, in_phase

MESSAGE = "The entry script has no function init(). It has no functions. Define it: def init():"


def test_what_was_said_is_not_repeated_with_the_log() -> None:
    log = f"a line of its own\nThe phase import failed: ScriptError: {MESSAGE}\nmodelport: failed to start: {MESSAGE}\n"
    said = Failure(phase=Phase.IMPORT, message=MESSAGE, log=log).describe()
    assert said.count(MESSAGE) == 1
    assert "a line of its own\nThe phase import failed: ScriptError: (the message above)" in said


def test_a_traceback_is_shown_once() -> None:
    trace = 'Traceback (most recent call last):\n  File "score.py", line 1\nValueError: no\n'
    said = Failure(phase=Phase.INIT, message="no", traceback=trace, log=f"before\n{trace}after, no more").describe()
    assert said.count("Traceback") == 1
    assert said.endswith("before\n(the traceback above)\nafter, no more")


def test_a_phase_is_named_once() -> None:
    with pytest.raises(WebserviceException) as caught, in_phase(Phase.START), in_phase(Phase.VALIDATE):
        raise WebserviceException("It is wrong.")
    assert caught.value.message == "Deployment failed in phase 'validate': It is wrong."
