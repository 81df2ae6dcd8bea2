"""The names that are this package's own, and the errors."""

from __future__ import annotations

import importlib
import json

import pytest

from azureml import exceptions

OWN = {
    "azureml": ["IS_MODELPORT"],
    "azureml.contrib": [],
    "azureml.contrib.services": [],
    "azureml.contrib.services.aml_request": ["AMLRequest", "rawhttp"],
    "azureml.contrib.services.aml_response": ["AMLResponse"],
    "azureml.monitoring": ["ModelDataCollector"],
}


@pytest.mark.parametrize(("module", "names"), OWN.items())
def test_public_names(module: str, names: list[str]) -> None:
    door = importlib.import_module(module)
    assert door.__all__ == names
    assert all(hasattr(door, name) for name in names)


def test_public_exceptions() -> None:
    classes = [
        name for name, value in vars(exceptions).items() if isinstance(value, type) and issubclass(value, Exception)
    ]
    assert exceptions.__all__ == sorted(classes)


def test_tree_of_exceptions() -> None:
    assert issubclass(exceptions.AuthenticationException, exceptions.UserErrorException)
    for name in exceptions.__all__:
        if name != "ServiceException":
            assert issubclass(getattr(exceptions, name), exceptions.AzureMLException)


def test_text_of_an_exception() -> None:
    inner = KeyError("x")
    error = exceptions.UserErrorException("wrong", inner_exception=inner)
    head, _, response = str(error).partition("ErrorResponse \n")
    assert head.split("\n\t") == ["UserErrorException:", "Message: wrong", "InnerException 'x'", ""]
    assert json.loads(response) == {"error": {"message": "wrong", "code": "UserError"}}
    assert (error.message, error.inner_exception) == ("wrong", inner)


def test_fields_of_exceptions() -> None:
    assert exceptions.WebserviceException("gone").status_code is None
    assert exceptions.WebserviceException("gone", 404).status_code == 404
    assert exceptions.WorkspaceException("two", found_multiple=True).found_multiple
    assert exceptions.ParallelRunException("slow", code="Throttled", delay_seconds=3).delay_seconds == 3


def test_stack_trace_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise exceptions.WebserviceException("gone")
    except exceptions.WebserviceException as error:
        error.print_stacktrace()
    assert "test_stack_trace_goes_to_standard_error" in capsys.readouterr().err
