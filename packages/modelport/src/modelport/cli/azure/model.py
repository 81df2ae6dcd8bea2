"""``az ml model`` (azureml-v1 reference, 3.1)."""

from __future__ import annotations

from modelport.cli import model, model_deploy, package, profile
from modelport.cli.azure.command import add_all
from modelport.cli.command import group

app = group("Register, list, download, change, delete, deploy and package models.")
add_all(
    app,
    {
        "register": model.register,
        "deploy": model_deploy.deploy,
        "profile": profile.profile,
        "package": package.package,
        "download": model.download,
        "list": model.list_,
        "show": model.show,
        "update": model.update,
        "delete": model.delete,
    },
)
