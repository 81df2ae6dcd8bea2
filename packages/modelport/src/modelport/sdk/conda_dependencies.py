"""Conda environment files as an object (azureml-v1 reference, 2.5)."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from modelport.domain.environments import CondaSpecification
from modelport.domain.errors import UserErrorException
from modelport.environments.index_settings import for_uv
from modelport.environments.python_request import conda_name
from modelport.environments.requirement_lines import package_name
from modelport.environments.specification import conda_from_json, conda_to_json, conda_to_yaml, read_conda_file
from modelport.sdk.framework_packages import framework_package

DEFAULT_FILE = "conda_dependencies.yml"

_NAME = "project_environment"
_CHANNELS = ("anaconda", "conda-forge")
_SDK = "azureml-defaults"
_HEADER = """\
# A conda environment file: what the entry script needs.
# With no conda packages but python and pip, it is a virtual environment, and no conda channel is asked.
# What 'azureml-defaults' is for comes with Modelport: it is not downloaded.
"""


class CondaDependencies:
    """The Python version, the conda packages and the pip requirements of an environment.

    Without a file it starts with the Python that runs this, ``azureml-defaults`` and the channels that v1 had.
    """

    _DEFAULT_PYTHON: ClassVar[str] = f"{sys.version_info[0]}.{sys.version_info[1]}"
    _PINNED_SDK: ClassVar[str] = _SDK
    """What ``create`` puts into the pip list where the version of the SDK is to be pinned."""

    def __init__(
        self, conda_dependencies_file_path: str | None = None, _underlying_structure: Mapping[str, Any] | None = None
    ) -> None:
        """Read the file. Raises FileNotFoundError, and UserErrorException naming file and line."""
        self._file = conda_dependencies_file_path
        if conda_dependencies_file_path is not None:
            self._take(read_conda_file(conda_dependencies_file_path))
        elif _underlying_structure is not None:
            self._take(conda_from_json(_underlying_structure, where="the conda dependencies"))
        else:
            python = f"python={self._DEFAULT_PYTHON}"
            self._take(CondaSpecification(name=_NAME, channels=_CHANNELS, packages=(python,), pip=(_SDK,)))

    @classmethod
    def create(
        cls,
        pip_indexurl: str | None = None,
        pip_packages: Iterable[str] | None = None,
        conda_packages: Iterable[str] | None = None,
        python_version: str | None = None,
        pin_sdk_version: bool = True,
    ) -> Self:
        """The defaults, and what is given.

        ``pin_sdk_version`` is about the line ``azureml-defaults``, and of no consequence: that is never downloaded.
        """
        made = cls()
        if pin_sdk_version:
            made.add_pip_package(cls._PINNED_SDK)
        if python_version is not None:
            made.set_python_version(python_version)
        if pip_indexurl is not None:
            made.set_pip_index_url(pip_indexurl)
        for package in _listed(conda_packages, "conda_packages"):
            made.add_conda_package(package)
        for package in _listed(pip_packages, "pip_packages"):
            made.add_pip_package(package)
        return made

    @classmethod
    def from_specification(cls, specification: CondaSpecification) -> Self:
        """The same, as an object that can be changed."""
        made = cls(_underlying_structure={})
        made._take(specification)
        return made

    def to_specification(self) -> CondaSpecification:
        """What it says now."""
        return CondaSpecification(
            name=self._name,
            channels=tuple(self._channels),
            packages=tuple(self._packages),
            pip=tuple(self._pip),
            source=self._source,
        )

    def _take(self, specification: CondaSpecification) -> None:
        self._name = specification.name
        self._channels = list(specification.channels)
        self._packages = list(specification.packages)
        self._pip = list(specification.pip)
        self._source = specification.source

    # --- what it holds ------------------------------------------------------------------------------------------------

    @property
    def conda_channels(self) -> list[str]:
        return list(self._channels)

    @property
    def conda_packages(self) -> list[str]:
        """The conda packages, ``python`` among them."""
        return list(self._packages)

    @property
    def pip_packages(self) -> list[str]:
        """The pip list without options and comments."""
        return [line for line in self._pip if line.strip() and not line.lstrip().startswith(("-", "#"))]

    @property
    def pip_options(self) -> list[str]:
        """The options in the pip list, such as ``--extra-index-url …``."""
        return [line for line in self._pip if line.lstrip().startswith("-")]

    def get_python_version(self) -> str | None:
        """``3.8`` where the packages say ``python=3.8``; None where they say nothing of it."""
        for package in self._packages:
            if conda_name(package) == "python":
                return re.sub(r"^.*?python\s*=*", "", package).strip() or None
        return None

    # --- changing it --------------------------------------------------------------------------------------------------

    def set_python_version(self, version: str) -> None:
        """Ask for that Python. Whether it can be had shows when the environment is resolved."""
        package = f"python={version}"
        if any(conda_name(known) == "python" for known in self._packages):
            _put(self._packages, package, conda_name)
        else:
            self._packages.insert(0, package)

    def add_channel(self, channel: str) -> None:
        """Add the channel, unless it is there."""
        if channel not in self._channels:
            self._channels.append(_worded(channel, "channel"))

    def remove_channel(self, channel: str) -> None:
        """Remove the channel, if it is there."""
        self._channels = [known for known in self._channels if known != channel]

    def add_conda_package(self, conda_package: str) -> None:
        """Add the package; it takes the place of another specification of the same package."""
        _put(self._packages, _worded(conda_package, "conda_package"), conda_name)

    def remove_conda_package(self, conda_package: str) -> None:
        """Remove every specification of that package."""
        self._packages = [known for known in self._packages if conda_name(known) != conda_name(conda_package)]

    def add_pip_package(self, pip_package: str) -> None:
        """Add the requirement; it takes the place of another one for the same package."""
        _put(self._pip, _worded(pip_package, "pip_package"), package_name)

    def remove_pip_package(self, pip_package: str) -> None:
        """Remove every requirement for that package."""
        name = package_name(pip_package)
        self._pip = [line for line in self._pip if line != pip_package and (name is None or package_name(line) != name)]

    def set_pip_requirements(self, pip_requirements: Iterable[str]) -> None:
        """Replace the requirements; options stay."""
        self._pip = [*self.pip_options, *_listed(pip_requirements, "pip_requirements")]

    def set_pip_option(self, pip_option: str) -> None:
        """Put the option into the pip list, before the packages, unless it is there."""
        if pip_option not in self._pip:
            self._pip.insert(len(self.pip_options), _worded(pip_option, "pip_option"))

    def remove_pip_option(self, pip_option: str) -> None:
        """Remove the option, or, where only its name is given (``--extra-index-url``), all options of that name."""
        self._pip = [line for line in self._pip if line != pip_option and _option_name(line) != pip_option]

    def set_pip_index_url(self, index_url: str) -> None:
        """Take packages from that index. It takes the place of another one."""
        for name in ("--index-url", "-i"):
            self.remove_pip_option(name)
        self.set_pip_option(f"--index-url {index_url}")

    def add_tensorflow_pip_package(self, core_type: str = "cpu", version: str | None = None) -> None:
        """Require TensorFlow by pip, instead of any that is required; ``core_type`` is ``cpu`` or ``gpu``."""
        requirement, others = framework_package("tensorflow", core_type, version)
        self._replace(requirement, others, self.add_pip_package, self.remove_pip_package)

    def add_tensorflow_conda_package(self, core_type: str = "cpu", version: str | None = None) -> None:
        """Take TensorFlow from the conda channels, instead of any that is asked for."""
        package, others = framework_package("tensorflow", core_type, version)
        self._replace(package, others, self.add_conda_package, self.remove_conda_package)

    def add_cntk_package(self, core_type: str = "cpu") -> None:
        """Require CNTK by pip, as it is on the package index: its last version is for Python 3.6."""
        requirement, others = framework_package("cntk", core_type, None)
        self._replace(requirement, others, self.add_pip_package, self.remove_pip_package)

    @staticmethod
    def _replace(
        package: str, others: Iterable[str], add: Callable[[str], None], remove: Callable[[str], None]
    ) -> None:
        for other in others:
            remove(other)
        add(package)

    # --- writing it ---------------------------------------------------------------------------------------------------

    def serialize_to_string(self) -> str:
        """The text of the conda environment file."""
        return _HEADER + conda_to_yaml(self.to_specification())

    def as_dict(self) -> dict[str, Any]:
        """The structure of the conda environment file."""
        return conda_to_json(self.to_specification())

    def save(self, path: str | None = None) -> str:
        """Write to ``path``, the file it was read from, or ``conda_dependencies.yml``, in that order. Returns it."""
        target = Path(path or self._file or DEFAULT_FILE)
        if target.is_dir():
            target = target / DEFAULT_FILE
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(self.serialize_to_string(), encoding="utf-8")
        return str(target)

    def save_to_file(self, base_directory: str, conda_file_path: str | None = None) -> str:
        """Write the file below ``base_directory``. Returns its path relative to that."""
        relative = conda_file_path or DEFAULT_FILE
        self.save(str(Path(base_directory) / relative))
        return relative

    # --- static helpers -----------------------------------------------------------------------------------------------

    @staticmethod
    def merge_requirements(requirements: Iterable[str]) -> list[str]:
        """One requirement a package: ``["a>=1", "a<2"]`` becomes ``["a>=1,<2"]``."""
        merged: dict[str, list[str]] = {}
        for requirement in requirements:
            match = re.match(r"\s*([A-Za-z0-9._-]+(?:\[[^]]*])?)\s*(.*?)\s*$", requirement)
            if match is None:
                raise UserErrorException(f"{requirement!r} is not a requirement.", hint="Write it as name==1.2.3.")
            known = merged.setdefault(match[1], [])
            known += [part for part in [match[2]] if part and part not in known]
        return [name + ",".join(specifiers) for name, specifiers in merged.items()]

    @staticmethod
    def sdk_origin_url() -> str:
        """The package index that this machine is set to; empty where it is the installer's own default."""
        return {**os.environ, **for_uv(os.environ)}.get("UV_DEFAULT_INDEX", "")

    @staticmethod
    def get_default_number_of_packages() -> int:
        """How many requirements the pip list starts with."""
        return len((_SDK,))


def _put(entries: list[str], entry: str, name_of: Callable[[str], str | None]) -> None:
    """Put the entry where the first one of its name is, and remove the others; else at the end."""
    name = name_of(entry)
    places = [place for place, known in enumerate(entries) if known == entry or (name and name_of(known) == name)]
    if not places:
        entries.append(entry)
        return
    entries[places[0]] = entry
    for place in reversed(places[1:]):
        del entries[place]


def _option_name(line: str) -> str | None:
    text = line.strip()
    return re.split(r"[\s=]", text, maxsplit=1)[0] if text.startswith("-") else None


def _worded(value: object, what: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise UserErrorException(f"{what} must be text such as 'numpy==1.26', not {value!r}.")
    return value


def _listed(values: Iterable[str] | None, what: str) -> list[str]:
    """A list of the values; one text alone would be taken letter by letter."""
    if isinstance(values, str):
        raise UserErrorException(f"{what} must be a list, not the text {values!r}.", hint=f"Write [{values!r}].")
    return list(values or ())
