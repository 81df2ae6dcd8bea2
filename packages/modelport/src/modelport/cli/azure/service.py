"""``az ml service`` (azureml-v1 reference, 3.2)."""

from __future__ import annotations

from modelport.cli import service, service_update
from modelport.cli.azure.command import add_all
from modelport.cli.command import group

app = group("Use and change the services that were deployed.")
add_all(
    app,
    {
        "list": service.list_,
        "show": service.show,
        "run": service.run,
        "update": service_update.update,
        "get-logs": service.get_logs,
        "get-keys": service.get_keys,
        "regen-key": service.regen_key,
        "get-access-token": service.get_access_token,
        "delete": service.delete,
    },
)
