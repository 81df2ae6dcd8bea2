"""What a submitted run is to do, as a file in its folder: written by who submits, read by its driver."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from modelport.domain.environments import EnvironmentDefinition
from modelport.environments.definition_json import definition_from_json, definition_to_json

FILE = "submission.json"


@dataclass(frozen=True, kw_only=True)
class Input:
    """A data set or a place on a datastore that the script gets as a path; the script's arguments name it.

    ``mode``: ``mount`` (links to the files, or the folder itself), ``download`` (copies) or ``upload`` (the folder
    itself, to be written to).
    """

    name: str
    mode: str
    path: str | None = None
    """The file or folder, of a place on a datastore."""
    definition: Mapping[str, Any] | None = None
    """Of a data set."""
    path_on_compute: str | None = None
    """Where in the script's working directory it is to be."""


Argument = str | Mapping[str, str]
"""A text, or ``{"input": name}``: the path of that input."""


@dataclass(frozen=True, kw_only=True)
class Submission:
    """A script and all that it gets."""

    script: str | None
    command: Sequence[Argument] | str | None = None
    """Instead of a script: a program with its arguments, or a line for the shell."""
    arguments: Sequence[Argument] = ()
    snapshot: str
    environment: EnvironmentDefinition | None = None
    """None: the interpreter that submits."""
    environment_variables: Mapping[str, str] = field(default_factory=dict)
    inputs: Sequence[Input] = ()
    longest_s: float | None = None
    notes: Sequence[str] = ()
    """What the user should know about how it runs here."""

    def environment_json(self) -> dict[str, Any] | None:
        """The environment's definition, without the password of an image registry: no image is pulled here."""
        if self.environment is None:
            return None
        content = definition_to_json(self.environment)
        content["docker"]["baseImageRegistry"]["password"] = None
        return content

    def write(self, folder: Path) -> None:
        """Into the run's folder."""
        content = {**asdict(self), "environment": self.environment_json()}
        (folder / FILE).write_text(json.dumps(content, indent=1), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Submission:
        """From the run's folder."""
        content = json.loads((folder / FILE).read_text(encoding="utf-8"))
        environment = content.pop("environment")
        inputs = [Input(**each) for each in content.pop("inputs")]
        definition = None if environment is None else definition_from_json(environment)
        return cls(environment=definition, inputs=inputs, **content)
