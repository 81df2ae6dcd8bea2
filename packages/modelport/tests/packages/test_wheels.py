"""Wheels of our own distributions, made from where they are installed."""

from __future__ import annotations

import base64
import csv
import hashlib
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

from modelport.domain.errors import EnvironmentException
from modelport.packages.server_constraints import server_constraints
from modelport.packages.wheels import SERVER, write_server_wheels, write_wheel


def test_a_wheel_records_what_it_holds(tmp_path: Path) -> None:
    wheel = write_wheel("modelport-worker", "modelport_worker", tmp_path)
    assert wheel.name == f"modelport_worker-{version('modelport-worker')}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        about = f"modelport_worker-{version('modelport-worker')}.dist-info"
        rows = list(csv.reader(archive.read(f"{about}/RECORD").decode().splitlines()))
        assert [row[0] for row in rows] == names
        for name, digest, size in rows[:-1]:
            content = archive.read(name)
            expected = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            assert (digest, size) == (f"sha256={expected}", str(len(content)))
        assert rows[-1] == [f"{about}/RECORD", "", ""]
        assert "modelport_worker/__main__.py" in names
        assert not any("__pycache__" in name for name in names)
        assert f"Version: {version('modelport-worker')}" in archive.read(f"{about}/METADATA").decode()
    (tmp_path / "again").mkdir()
    again = write_wheel("modelport-worker", "modelport_worker", tmp_path / "again")
    assert again.read_bytes() == wheel.read_bytes()


def test_what_is_not_installed_is_named(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentException, match="modelport-nowhere is not installed"):
        write_wheel("modelport-nowhere", "nowhere", tmp_path)
    with pytest.raises(EnvironmentException, match="nowhere cannot be found"):
        write_wheel("modelport-worker", "nowhere", tmp_path)


def test_the_server_runs_from_its_wheels_alone(tmp_path: Path) -> None:
    wheels = write_server_wheels(tmp_path / "wheels")
    assert len(wheels) == len(SERVER)
    target = tmp_path / "installed"
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(target)
    code = (
        f"import sys; sys.path.insert(0, {str(target)!r})\n"
        "import modelport_scoring.container.__main__, modelport_worker, azureml\n"
        "print(modelport_scoring.__file__, modelport_worker.__file__, azureml.__file__)\n"
    )
    ended = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.count(str(target)) == 3


def test_the_constraints_are_what_is_installed_here() -> None:
    constraints = dict(line.split("==") for line in server_constraints())
    assert constraints["uvloop"] == version("uvloop")
    assert constraints["cffi"] == version("cffi"), "what cryptography needs is there too"
    assert not any(name.startswith("modelport") for name in constraints)
    assert "opentelemetry-sdk" not in constraints, "an extra that nobody asked for"
