"""How many workers of a service this machine may be asked for."""

from __future__ import annotations

from modelport.domain.deployments import Deployment
from modelport.domain.errors import WebserviceException
from modelport.targets.serving.settings import version_size
from modelport_scoring.settings.checks import MOST_WORKERS


def check_size(deployment: Deployment) -> None:
    """Raise WebserviceException for more workers than one machine should start."""
    size = version_size(deployment, deployment)
    autoscale = size["autoscale"]
    wanted = size["workers"] if autoscale is None else autoscale.max_workers
    if isinstance(wanted, int) and wanted > MOST_WORKERS:  # of another type it is refused later
        raise WebserviceException(
            f"The deployment asks for {wanted} workers (each replica is one here), and a service has {MOST_WORKERS} at "
            "most on this machine.",
            hint="Ask for fewer: num_replicas, autoscale_max_replicas, workers.",
        )
