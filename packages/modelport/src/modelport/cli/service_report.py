"""What a command that changed a service says: a few lines for a person, everything as JSON for a program."""

from __future__ import annotations

from modelport.cli.model_deploy import SERVICE_COLUMNS
from modelport.cli.output import Result
from modelport.domain.services import ServiceState
from modelport.sdk.webservice import Webservice


def changed(service: Webservice, *, stopped: bool = False) -> Result:
    """The service as it is now: its state, what it runs, where, and how to see the rest."""
    shown = {**service.serialize(), **service.placed()}
    models = ", ".join(model["id"] for model in shown["modelDetails"])
    here = f"-w {service.workspace.name} -n {service.name}"
    lines = [
        f"The service {service.name!r} is {service.state.lower()}: revision {service.revision}, "
        f"{f'with {models}' if models else 'without models'}.",
        f"Scoring URI:  {service.scoring_uri}",
        f"Everything:   modelport service show {here}",
    ]
    if stopped or service.state == ServiceState.STOPPED:
        lines[1] = f"Start it:     modelport service start {here}"
    return Result(shown, text="\n".join(lines), columns=SERVICE_COLUMNS)
