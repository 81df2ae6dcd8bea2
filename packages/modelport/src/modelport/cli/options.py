"""Options that several commands share, and what their texts mean."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from modelport.domain.errors import UserErrorException
from modelport.domain.models import Condition, ResourceConfiguration


class Truth(StrEnum):
    """``true`` or ``false`` as the value of an option."""

    TRUE = "true"
    FALSE = "false"


def is_true(given: Truth | None) -> bool | None:
    """What was said; None where nothing was."""
    return None if given is None else given is Truth.TRUE


ServiceName = Annotated[str, typer.Option("--name", "-n", help="Name of the service.")]
ModelId = Annotated[str, typer.Option("--model-id", "-i", help="Id of the model: name:version.")]
Description = Annotated[str | None, typer.Option("--description", "-d", help="A description.")]
LongDescription = Annotated[str | None, typer.Option("--description", help="A description.")]
Tags = Annotated[list[str] | None, typer.Option("--tag", metavar="KEY=VALUE", help="A tag. Repeatable.")]
Properties = Annotated[
    list[str] | None, typer.Option("--property", metavar="KEY=VALUE", help="A property. Repeatable.")
]
AddTags = Annotated[list[str] | None, typer.Option("--add-tag", metavar="KEY=VALUE", help="Add a tag. Repeatable.")]
RemoveTags = Annotated[
    list[str] | None, typer.Option("--remove-tag", metavar="KEY", help="Remove the tag. Repeatable.")
]
AddProperties = Annotated[
    list[str] | None, typer.Option("--add-property", metavar="KEY=VALUE", help="Add a property. Repeatable.")
]
TagFilters = Annotated[list[str] | None, typer.Option("--tag", metavar="KEY[=VALUE]", help="Only with this tag.")]
PropertyFilters = Annotated[
    list[str] | None, typer.Option("--property", metavar="KEY[=VALUE]", help="Only with this property.")
]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Return while the service still starts.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there under that name.")]
ModelFramework = Annotated[
    str | None,
    typer.Option(
        "--model-framework",
        "--framework",
        help="ScikitLearn, Onnx, TensorFlow, TfKeras, PyTorch, LightGBM, XGBoost, MLflow or Custom.",
    ),
]
ModelFrameworkVersion = Annotated[
    str | None, typer.Option("--model-framework-version", "--framework-version", help="For example 1.5.2.")
]
MetadataFile = Annotated[
    Path | None, typer.Option("--output-metadata-file", "-t", help="Write what a later command needs into this file.")
]


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What a deployment of a model needs; a label of the model."""

    cpu_cores: Annotated[float | None, typer.Option("--cpu-cores", "--cc", help="CPU cores that the model needs.")] = (
        None
    )
    memory_gb: Annotated[float | None, typer.Option("--memory-gb", "--gb", help="Memory that it needs, in GB.")] = None
    gpu_cores: Annotated[int | None, typer.Option("--gpu-cores", "--gc", help="GPUs that it needs.")] = None

    def configuration(self) -> ResourceConfiguration | None:
        """None where nothing was given."""
        if self.cpu_cores is None and self.memory_gb is None and self.gpu_cores is None:
            return None
        return ResourceConfiguration(cpu=self.cpu_cores, memory_in_gb=self.memory_gb, gpu=self.gpu_cores)


def pairs(given: Sequence[str] | None, flag: str) -> dict[str, str]:
    """``["a=1", "b=x=y"]`` as a dictionary. Raises UserErrorException where there is no ``=``."""
    found = {}
    for text in given or ():
        key, separator, value = text.partition("=")
        if not separator or not key:
            raise UserErrorException(f"Invalid {flag} {text!r}: it must be of the form key=value.")
        found[key] = value
    return found


def conditions(given: Sequence[str] | None) -> list[Condition]:
    """Filters: ``key`` asks for the key, ``key=value`` for the value too."""
    parts = (text.partition("=") for text in given or ())
    return [(key, value) if separator else key for key, separator, value in parts]


def text_or_file(given: str) -> str:
    """The text itself; for ``@file``, what is in the file; for ``@-``, what comes on stdin."""
    if not given.startswith("@"):
        return given
    return sys.stdin.read() if given == "@-" else Path(given[1:]).read_text(encoding="utf-8-sig")


def write_metadata(file: Path | None, document: dict[str, object]) -> None:
    """Write a file that later commands read with ``-f``; nothing where none is asked for."""
    if file is not None:
        file.write_text(json.dumps(document, indent=4) + "\n", encoding="utf-8")
