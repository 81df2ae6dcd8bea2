"""``az ml folder`` (azureml-v1 reference, 3.4)."""

from __future__ import annotations

from modelport.cli import folder
from modelport.cli.azure.command import add_all
from modelport.cli.command import group

app = group("Attach a folder to a workspace.")


@app.callback()
def root() -> None:
    """Attach a folder to a workspace, so that commands in it need no --workspace-name."""


add_all(app, {"attach": folder.attach})
