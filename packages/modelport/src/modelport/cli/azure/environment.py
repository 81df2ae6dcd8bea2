"""``az ml environment`` (azureml-v1 reference, 3.4)."""

from __future__ import annotations

from modelport.cli import environment
from modelport.cli.azure.command import add_all
from modelport.cli.command import group

app = group("Write, register, list and download environments.")
add_all(
    app,
    {
        "scaffold": environment.scaffold,
        "register": environment.register,
        "list": environment.list_,
        "show": environment.show,
        "download": environment.download,
    },
)
