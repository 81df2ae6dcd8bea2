"""The contexts of the user's kubeconfig: the clusters that can be named, and with whose rights."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import yaml
from lightkube import KubeConfig
from lightkube.config.kubeconfig import DEFAULT_KUBECONFIG, SingleConfig
from lightkube.exceptions import ConfigError

from modelport.domain.errors import WebserviceException

VARIABLE = "KUBECONFIG"

_UNREADABLE = (
    ConfigError,
    KeyError,
    TypeError,
    AttributeError,
    msgspec.ValidationError,
    yaml.YAMLError,
    OSError,
)
"""What reading a file raises that is something else."""


def kubeconfig_files(environ: Mapping[str, str] = os.environ) -> list[Path]:
    """Those that ``KUBECONFIG`` names, as kubectl reads it: several are separated as those of PATH are."""
    named = [name for name in environ.get(VARIABLE, "").split(os.pathsep) if name] or [DEFAULT_KUBECONFIG]
    return [Path(name).expanduser() for name in named]


def contexts(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Names of the contexts that there are, each once. Raises WebserviceException for a file that is no kubeconfig."""
    return list(dict.fromkeys(name for _, config in _configs(environ) for name in config.contexts))


def find_context(name: str, environ: Mapping[str, str] = os.environ) -> SingleConfig:
    """The cluster of that context and how to speak to it; of several files with it the first counts.

    Raises WebserviceException where no file has it, or where it names a cluster or a user that its file does not have.
    """
    for file, config in _configs(environ):
        if name not in config.contexts:
            continue
        try:
            found = config.get(name)
        except KeyError as error:
            raise WebserviceException(
                f"The context {name!r} of {file} names {error}, which the file does not have."
            ) from error
        assert found is not None
        return found
    known = ", ".join(contexts(environ))
    where = ", ".join(str(file) for file in kubeconfig_files(environ))
    if not any(file.is_file() for file in kubeconfig_files(environ)):
        raise WebserviceException(
            f"There is no context named {name!r}, for there is no kubeconfig: {where} is not there.",
            hint=f"Have the file from who runs the cluster, put it there, or name it in {VARIABLE}.",
        )
    raise WebserviceException(
        f"There is no context named {name!r} in {where}.",
        hint=f"There are: {known}." if known else f"Name the file that has it in {VARIABLE}.",
    )


def _configs(environ: Mapping[str, str]) -> Iterator[tuple[Path, KubeConfig]]:
    for file in kubeconfig_files(environ):
        if not file.is_file():
            continue
        try:
            yield file, KubeConfig.from_file(file)
        except _UNREADABLE as error:
            raise WebserviceException(
                f"{file} cannot be read as a kubeconfig: {type(error).__name__}: {error}.",
                hint=f"kubectl config view reads the same file; {VARIABLE} names another one.",
            ) from error
