"""Make what a deployment without an inference configuration lacks: the entry script and the environment."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from modelport.domain.environments import CondaSpecification, EnvironmentDefinition, PythonSection
from modelport.domain.errors import WebserviceException
from modelport.domain.failures import Phase, in_phase
from modelport.domain.models import ModelVersion
from modelport.environments.specification import conda_to_yaml
from modelport.usecases.context import Context
from modelport.usecases.download_model import place_model_file
from modelport.usecases.no_code.frameworks import framework_of
from modelport.usecases.no_code.interface import ModelFolder, Plan
from modelport.usecases.prepare_revision import RevisionRequest
from modelport.usecases.validate_inference import CheckedInference

FOLDER = "no-code"
"""Below a workspace's folder: one folder for each set of generated assets."""
SCRIPT = "score.py"
CONDA_FILE = "conda_dependencies.yml"
FACTS = "model.json"
_ALWAYS = ("no_code_answers.py", "no_code_schema.py")
_TENSORS = ("no_code_bodies.py", "no_code_tensors.py")


def no_code_revision(context: Context, models: Sequence[ModelVersion]) -> RevisionRequest:
    """What a service of the one model runs: code and environment, written into the workspace's folder; the progress
    says where.

    Nothing of the model is executed. Raises WebserviceException where there is not exactly one model, it is of no
    framework that can be served so, or its files are something else; EnvironmentException where no Python serves.
    """
    if len(models) != 1:
        raise WebserviceException(
            f"The deployment has no entry script, and {len(models)} models: without a script it has exactly one.",
            hint="Give inference_config=InferenceConfig(entry_script='score.py') to deploy none or several.",
        )
    (model,) = models
    with in_phase(Phase.VALIDATE), _on_disk(context, model) as folder:
        plan = framework_of(folder, model.framework).plan(folder)
    with in_phase(Phase.RESOLVE):
        environment = _environment(context, plan)
    source = _written(context.folder / FOLDER, model, _assets(plan, environment))
    for line in _announcement(model, plan, source):
        context.progress.step(line)
    return RevisionRequest(
        models=[model],
        inference=CheckedInference(
            script=source / SCRIPT, source_directory=source, generated_for=plan.framework, batches=plan.by_rows
        ),
        environment=environment,
        resources=model.resource_configuration,
    )


def _announcement(model: ModelVersion, plan: Plan, source: Path) -> Iterator[str]:
    yield f"No-code deployment of {model.id}: {plan.summary}"
    yield (
        f"Auto-generated assets for the no-code deployment are in {source}: {SCRIPT}, {FACTS} and {CONDA_FILE}. "
        "To take them over, copy the folder and give it as source_directory."
    )
    yield from plan.notes
    if model.sample_input is not None and _sample(model.sample_input) is None:
        yield (
            f"sample_input_dataset={model.sample_input} is recorded and not looked into: the schema is what the "
            "model's files tell. A sample as JSON is."
        )


@contextmanager
def _on_disk(context: Context, model: ModelVersion) -> Iterator[ModelFolder]:
    """The model's files under their names; links where the store can make them."""
    context.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".no-code-", dir=context.folder) as name:
        folder = Path(name)
        for file in model.files:
            path = folder / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            place_model_file(context, model, file, path, link=True)
        resources = model.resource_configuration
        yield ModelFolder(
            id=model.id,
            folder=folder,
            entry=model.entry,
            framework_version=model.framework_version,
            sample_input=_sample(model.sample_input),
            wants_gpu=bool(resources and resources.gpu),
        )


def _sample(text: str | None) -> object:
    """The sample input where it is JSON; the id of a data set tells nothing of the columns."""
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return None


def _environment(context: Context, plan: Plan) -> EnvironmentDefinition:
    required = plan.requirements
    python = required.python
    if python is None and required.decisive is not None:
        python = context.environments.python_with_wheels(required.decisive, progress=context.progress)
    packages = [f"python={python}"] if python else []
    conda = CondaSpecification(
        channels=required.conda_channels, packages=(*packages, *required.conda_packages), pip=required.pip
    )
    return EnvironmentDefinition(name=f"no-code-{plan.framework.lower()}", python=PythonSection(conda=conda))


def _assets(plan: Plan, environment: EnvironmentDefinition) -> dict[str, str]:
    served = resources.files("modelport.usecases.no_code") / "served"
    script = (served / plan.script).read_text(encoding="utf-8")
    names = [*_ALWAYS, *(_TENSORS if "no_code_tensors" in script else ())]
    assert environment.python.conda is not None
    return {
        SCRIPT: script,
        **{name: (served / name).read_text(encoding="utf-8") for name in names},
        FACTS: json.dumps(plan.facts, indent=1, sort_keys=True) + "\n",
        CONDA_FILE: conda_to_yaml(environment.python.conda),
    }


def _written(root: Path, model: ModelVersion, assets: dict[str, str]) -> Path:
    """The folder with exactly these files: one that is there, or a new one, so that nobody's changes are lost."""
    number = 1
    while True:
        folder = root / (f"{model.name}-{model.version}" + (f"-{number}" if number > 1 else ""))
        if not folder.exists():
            _write(folder, assets)
        if _holds(folder, assets):
            return folder
        number += 1


def _write(folder: Path, assets: dict[str, str]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=folder.parent) as name:
        draft = Path(name) / "assets"
        draft.mkdir()
        for file, text in assets.items():
            (draft / file).write_text(text, encoding="utf-8")
        if not folder.exists():
            draft.rename(folder)


def _holds(folder: Path, assets: dict[str, str]) -> bool:
    there = {path.name for path in folder.iterdir() if path.name != "__pycache__"}
    return there == assets.keys() and all(
        (folder / name).read_text(encoding="utf-8") == text for name, text in assets.items()
    )
