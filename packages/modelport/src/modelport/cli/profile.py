"""``modelport model profile``, and what ``model deploy --profile-input`` takes of its result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from modelport.cli.deployment import Asked
from modelport.cli.files import Keys, read_document
from modelport.cli.inference import InferenceFlags
from modelport.cli.model_choice import ModelChoice
from modelport.cli.options import LongDescription, MetadataFile, write_metadata
from modelport.cli.output import Result
from modelport.cli.session import Session
from modelport.domain.deployments import ComputeType
from modelport.domain.errors import UserErrorException
from modelport.sdk.data import Dataset
from modelport.sdk.model import Model
from modelport.sdk.profiles import ModelProfile

_COLUMNS = ("name", "state", "recommendedCpu", "recommendedMemoryInGB", "successRate", "latencyPercentile90InMs")
_FLAG = "--profile-input"

ProfileInput = Annotated[
    Path | None,
    typer.Option(
        _FLAG,
        "--pi",
        metavar="FILE",
        help="A file of `model profile -t`: its models, where none are named, and its cpu and memory.",
    ),
]


def profile(
    session: Session,
    name: Annotated[str, typer.Option("--name", "-n", help="Name of the profile; a new one.")],
    models: ModelChoice,
    inference: InferenceFlags,
    input_data: Annotated[
        str | None, typer.Option("--input-data", "-d", help="The body of a request, which is sent 100 times.")
    ] = None,
    input_dataset_id: Annotated[
        str | None,
        typer.Option("--input-dataset-id", "--idi", help="A data set with one column: a request's body in each row."),
    ] = None,
    cpu_cores: Annotated[
        float | None, typer.Option("--cpu-cores", "--cc", help="Cores that it may use, 0.1 to 3.5; 3.5 without.")
    ] = None,
    memory_gb: Annotated[
        float | None, typer.Option("--memory-gb", "--gb", help="Memory that it may use, 0.1 to 15 GB; 15 without.")
    ] = None,
    description: LongDescription = None,
    output_metadata_file: MetadataFile = None,
) -> object:
    """Run the service of models for a while, send it requests, and say how much cpu and memory it needs.

    It runs on this machine, under the limits as far as the machine can enforce them, which is said; nothing of it is
    left afterwards but the result.
    """
    if (input_data is None) == (input_dataset_id is None):
        raise UserErrorException(
            "Which requests?", hint="Give either --input-data BODY or --input-dataset-id ID (az-ml dataset list)."
        )
    given: Any = input_data
    if input_dataset_id is not None:
        given = Dataset.get_by_id(session.workspace, input_dataset_id)
    made = Model.profile(
        session.workspace,
        name,
        models.ids(),
        inference.configuration(session),
        given,
        cpu_cores,
        memory_gb,
        description,
    )
    made.wait_for_completion()
    write_metadata(output_metadata_file, _metadata(made))
    return Result(made.serialize(), columns=_COLUMNS)


def _metadata(made: ModelProfile) -> dict[str, object]:
    return {"profileName": made.name, "modelIds": made.model_ids, **made.get_results()}


@dataclass(frozen=True, kw_only=True)
class ProfiledNeeds:
    """What a file of ``model profile -t`` says."""

    path: Path
    model_ids: Sequence[str]
    cpu: float | None
    memory_gb: float | None

    def fill_in(self, asked: Asked, kind: ComputeType, session: Session) -> Asked:
        """What is asked for, with the recommended cpu and memory where it says nothing of them."""
        if kind is ComputeType.LOCAL:
            session.note(f"Note: the cpu and memory of {self.path} have no effect for a service of type Local.")
            return asked
        recommended = {"cpu_cores": self.cpu, "memory_gb": self.memory_gb}
        said = {*asked.flags, *asked.file.settings}
        return asked.including({name: value for name, value in recommended.items() if name not in said})


def read_profile(path: Path) -> ProfiledNeeds:
    """Raises UserErrorException for a file that is none of ``model profile -t``."""
    keys = Keys(read_document(path, flag=_FLAG), where=str(path))
    models = keys.lines("modelIds") or []
    cpu = keys.number("cpu") or keys.number("recommendedCpu")
    memory = keys.number("memoryInGB") or keys.number("recommendedMemoryInGB")
    if cpu is None and memory is None:
        raise UserErrorException(
            f"{path} has neither 'cpu' nor 'memoryInGB'.",
            hint="Write the file with: modelport model profile … -t FILE.",
        )
    return ProfiledNeeds(
        path=path, model_ids=[models] if isinstance(models, str) else models, cpu=cpu, memory_gb=memory
    )
