"""Check the code of a deployment before anything is built (azureml-v1 reference, 2.3)."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from modelport.domain.environments import EnvironmentDefinition
from modelport.domain.errors import UserErrorException, WebserviceException
from modelport.domain.services import InferenceConfiguration
from modelport.environments.python_request import may_have_newer_syntax
from modelport.usecases.what_is_there import what_is_there


@dataclass(frozen=True, kw_only=True)
class CheckedInference:
    """The code of a deployment: absolute paths that exist; the script is Python and parses."""

    script: Path
    source_directory: Path | None
    description: str | None = None
    generated_for: str | None = None
    """The framework, where the code was generated for a deployment without any."""
    batches: bool = False
    """Whether it scores row by row, so that batching is on unless a deployment says otherwise."""
    companions: Mapping[str, Path] = field(default_factory=dict)
    """Files and folders to ship beside the script, by their names in the app root."""

    @property
    def configuration(self) -> InferenceConfiguration:
        """As the service keeps it, so that ``reload`` finds the code again."""
        script = self.script.relative_to(self.source_directory) if self.source_directory else self.script
        source = str(self.source_directory) if self.source_directory else None
        return InferenceConfiguration(
            entry_script=str(script),
            source_directory=source,
            description=self.description,
            generated_for=self.generated_for,
            batches=self.batches,
            companions={name: str(path) for name, path in self.companions.items()},
        )


def validate_inference(
    entry_script: str | None,
    source_directory: str | None,
    *,
    description: str | None = None,
    environment: EnvironmentDefinition | None = None,
    companions: Mapping[str, Path] | None = None,
) -> CheckedInference:
    """Find the script and the source folder, and parse the script.

    A script for a Python that is newer than ours is not parsed: its own Python will, when the worker imports it.

    Raises WebserviceException for a path that is missing or a script that is not Python; UserErrorException for a
    syntax error, with Python's own message, the file and the line.
    """
    if not entry_script:
        raise WebserviceException("An inference configuration needs an entry script: entry_script must not be empty.")
    source = None if source_directory is None else Path(source_directory).absolute()
    if source is not None and not source.is_dir():
        raise WebserviceException(f"The source directory {str(source)!r} doesn't exist.", hint=what_is_there(source))
    script = resolve_below(source, entry_script, what="entry script")
    if script.suffix != ".py":
        raise WebserviceException(f"Invalid entry script {entry_script!r}: only Python drivers (.py) are supported.")
    if not may_have_newer_syntax(environment):
        _check_syntax(script)
    return CheckedInference(
        script=script,
        source_directory=source,
        description=description,
        companions=_checked_companions(script, companions or {}),
    )


def _checked_companions(script: Path, companions: Mapping[str, Path]) -> dict[str, Path]:
    for name, path in companions.items():
        if not path.exists():
            raise WebserviceException(f"The dependency {str(path)!r} doesn't exist.", hint=what_is_there(path))
        if name == script.name:
            raise WebserviceException(f"The dependency {str(path)!r} would lie where the script {script.name!r} does.")
    return {name: path.absolute() for name, path in companions.items()}


def resolve_below(source: Path | None, given: str, *, what: str, is_shipped: bool = True) -> Path:
    """The absolute path of a file that is given relative to the source folder, or to the cwd where there is none.

    Raises WebserviceException where it is missing; and where it ``is_shipped`` but lies outside the source folder.
    """
    path = ((source or Path.cwd()) / given).absolute()
    if not path.is_file():
        rule = f"relative to the source directory {str(source)!r}" if source else f"relative to {str(Path.cwd())!r}"
        raise WebserviceException(
            f"The {what} {given!r} doesn't exist: {str(path)!r} is no file. The path should be {rule}.",
            hint=what_is_there(path),
        )
    if source is not None and is_shipped:
        plain, root = path.resolve(), source.resolve()
        if not plain.is_relative_to(root):
            raise WebserviceException(f"The {what} {str(path)!r} is not below the source directory {str(source)!r}.")
        return source / plain.relative_to(root)
    return path


def _check_syntax(script: Path) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(script.read_bytes(), filename=str(script))
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        text = (getattr(error, "text", None) or "").rstrip()
        where = f"{script}, line {line}" if line else str(script)
        raise UserErrorException(
            f"Deployment failed in phase 'validate': {type(error).__name__}: {getattr(error, 'msg', error)} ({where})"
            + (f"\n    {text}" if text else ""),
            hint="Correct the script; running it with Python shows the same error.",
        ) from error
