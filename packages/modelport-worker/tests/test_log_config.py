"""What a script logs: AZUREML_LOG_LEVEL, and a ``logging.json`` of the user's (reference, 6.7)."""

from __future__ import annotations

import json

import pytest

from driving import App
from interpreters import THIS_PYTHON

SCRIPT = """
    import logging

    def init():
        logging.getLogger("azmlinfsrv").info("GET / HTTP/1.1 of a probe")
        logging.getLogger("azmlinfsrv").info("of init")
        print("printed")

    def run(data):
        return data
"""
OWN = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"own": {"class": "logging.StreamHandler", "formatter": "own", "filters": ["probes"]}},
    "formatters": {
        "own": {"class": "azureml_inference_server_http.log_config.AMLLogFormatter", "format": "<%(message)s>"},
    },
    "filters": {"probes": {"()": "azureml_inference_server_http.log_config.RootAccessFilter"}},
    "loggers": {"azmlinfsrv": {"level": "INFO", "handlers": ["own"], "propagate": False}},
}


@pytest.mark.parametrize("place", ["", "code/"])
def test_it_lies_in_the_app_root_or_beside_the_script(app: App, python: str, place: str) -> None:
    app.write(place + "logging.json", json.dumps(OWN))
    app.write("code/inner.py", "from score import init, run")
    with app.run(python, SCRIPT, AZUREML_ENTRY_SCRIPT="code/inner.py") as worker:
        worker.start()
        assert "\n<of init>\n" in worker.output
        assert "\nprinted\n" in worker.output
        assert "of a probe" not in worker.output


def test_one_that_cannot_be_used_is_an_error_of_the_start(app: App) -> None:
    app.write("logging.json", json.dumps({**OWN, "loggers": {"azmlinfsrv": {"handlers": ["absent"]}}}))
    with app.run(THIS_PYTHON, SCRIPT) as worker:
        failure = worker.failure()
        assert failure["phase"] == "import"
        assert "logging.json cannot be used to configure logging: " in failure["message"]


def test_a_file_of_that_name_that_is_something_else(app: App) -> None:
    app.write("logging.json", '{"loggers": []}')
    with app.run(THIS_PYTHON, SCRIPT) as worker:
        worker.start()
        assert "logging.json has no version" in worker.output
        assert "azmlinfsrv - of init" in worker.output


@pytest.mark.parametrize(("level", "is_written"), [("INFO", True), ("warning", False), ("no such", True)])
def test_a_variable_says_from_which_level_on_records_are_written(app: App, level: str, is_written: bool) -> None:
    with app.run(THIS_PYTHON, SCRIPT, AZUREML_LOG_LEVEL=level) as worker:
        worker.start()
        assert ("azmlinfsrv - of init" in worker.output) is is_written
        assert "printed" in worker.output
