"""The experiment of a run, for its script in a Python that has the client."""

from __future__ import annotations

from modelport.domain.progress import Silent
from modelport.sdk.runs.experiment import Experiment
from modelport.sdk.workspace import Workspace


def open_experiment(workspace: str, name: str) -> Experiment:
    """Raises WorkspaceException where there is no such workspace on this machine."""
    return Experiment(Workspace.get(workspace, progress=Silent()), name)
