"""``azureml.core.environment`` (azureml-v1 reference, 2.4)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

from azureml._constants import DEFAULT_CPU_IMAGE, DEFAULT_GPU_IMAGE
from modelport.domain.errors import EnvironmentException
from modelport.sdk import environment, environment_sections
from modelport.sdk.conda_dependencies import CondaDependencies as AnyCondaDependencies
from modelport.sdk.environment_build import EnvironmentWorkspace
from modelport.sdk.v1.conda_dependencies import CondaDependencies
from modelport.sdk.v1.curated import curated_conda
from modelport.sdk.v1.standing_for import StandsFor


@dataclass
class PythonSection(environment_sections.PythonSection, metaclass=StandsFor):
    """The Python of an environment."""

    conda_dependencies: AnyCondaDependencies | None = field(default_factory=CondaDependencies)


@dataclass
class DockerSection(environment_sections.DockerSection, metaclass=StandsFor):
    """The image of an environment. It names one that v1 took; Modelport pulls none of those, it says "no own image"."""

    base_image: str | None = DEFAULT_CPU_IMAGE

    def own_image(self) -> str | None:
        """The base image that was asked for; None for v1's own ones."""
        image = self.base_image
        return None if image in (DEFAULT_CPU_IMAGE, DEFAULT_GPU_IMAGE) else image


class Environment(environment.Environment, metaclass=StandsFor):
    """A named environment. It gets a version when it is registered."""

    _conda_class = CondaDependencies
    _python_class = PythonSection
    _docker_class = DockerSection

    @classmethod
    def get(
        cls, workspace: EnvironmentWorkspace, name: str, version: str | int | None = None, label: str | None = None
    ) -> Self:
        """The newest version, or the one that is asked for. Raises EnvironmentException where there is none.

        One of v1's curated environments is made of what its name says (``AzureML-Scikit-learn-0.20.3``), which is
        printed, unless one of that name is in the workspace.
        """
        try:
            return super().get(workspace, name, version, label)
        except EnvironmentException:
            conda = curated_conda(name, default_python=str(cls._conda_class().get_python_version()))
            if conda is None or workspace.registry.environments(name):
                raise
        workspace.context.progress.step(
            f"The environment {name!r} is made of what its name says: {', '.join((*conda.packages, *conda.pip))}"
        )
        return cls._with_conda(name, conda)
