"""For every test: what a developer has set up on this machine is not used by accident, and time does not matter."""

from __future__ import annotations

import os
from contextlib import suppress

# Container instances are processes, also where there is a Docker; tests of containers say otherwise.
os.environ["MODELPORT_ACI"] = "process"
# No cluster of a developer's either: no file has contexts.
os.environ["KUBECONFIG"] = os.devnull

with suppress(ImportError):  # the tests of wheels do without it
    from hypothesis import HealthCheck, settings

    # Whether a test passes does not depend on how busy the machine is.
    settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("patient")
