from __future__ import annotations

import pytest

from modelport.domain.errors import EnvironmentException
from modelport.environments.python_request import conda_name, requested_python


@pytest.mark.parametrize(
    ("written", "wanted", "minor"),
    [
        ("python", None, None),
        ("python=3.8", "3.8", None),
        ("python==3.8.*", "3.8", None),
        ("python 3.8", "3.8", None),
        ("python=3.6.2", "3.6.2", "3.6"),
        ("python==3.6.2", "3.6.2", "3.6"),
        ("python=3.8.5=h7579374_1", "3.8.5", "3.8"),
        ("python 3.8.5 h7579374_1", "3.8.5", "3.8"),
        ("conda-forge::python=3.10", "3.10", None),
        ("python>=3.8,<3.11", ">=3.8,<3.11", None),
        ("python >=3.8, !=3.9.*", ">=3.8,!=3.9.*", None),
        ("python[version='>=3.8,<3.9']", ">=3.8,<3.9", None),
        ("Python=3", "3", None),
    ],
)
def test_what_a_specification_asks_for(written: str, wanted: str | None, minor: str | None) -> None:
    request = requested_python(["numpy=1.19", written])
    assert (request.wanted, request.minor) == (wanted, minor)


def test_no_python_is_any_python() -> None:
    assert requested_python(["pip", "python-dateutil=2.8"]).wanted is None


@pytest.mark.parametrize("written", ["python=three", "python>=3.8|<3.6", "python=>3"])
def test_what_is_not_understood_is_refused(written: str) -> None:
    with pytest.raises(EnvironmentException, match="not understood"):
        requested_python([written])


@pytest.mark.parametrize("written", ["numpy", "numpy=1.19", "numpy >=1", "conda-forge::NumPy[version='1']", "numpy<2"])
def test_the_name_of_a_conda_package(written: str) -> None:
    assert conda_name(written) == "numpy"
