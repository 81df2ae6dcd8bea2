"""``az ml workspace`` (azureml-v1 reference, 3.4)."""

from __future__ import annotations

from modelport.cli import workspace
from modelport.cli.azure.command import add_all
from modelport.cli.command import group

app = group("Create, list, show, change and delete workspaces.")
add_all(
    app,
    {"create": workspace.create, "list": workspace.list_, "show": workspace.show, "delete": workspace.delete},
)
