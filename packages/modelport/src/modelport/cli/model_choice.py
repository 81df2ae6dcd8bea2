"""The models of a command, as options."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from modelport.cli.files import read_model_id


@dataclass(frozen=True, kw_only=True)
class ModelChoice:
    """Models by their ids and by the files that ``register -t`` wrote."""

    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model", "-m", metavar="ID", help="A model: name:version, or a name for its newest. Repeatable."
        ),
    ] = None
    model_metadata_file: Annotated[
        list[Path] | None,
        typer.Option("--model-metadata-file", "-f", metavar="FILE", help="A file of `model register -t`. Repeatable."),
    ] = None

    def ids(self) -> list[str]:
        """The ids, in the order given: first those of ``--model``."""
        return [*(self.model or ()), *(read_model_id(file) for file in self.model_metadata_file or ())]
