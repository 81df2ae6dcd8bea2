"""For every test: what a developer has set up on this machine is not used by accident, and neither time nor chance
matters."""

from __future__ import annotations

import os
from contextlib import suppress

# Container instances are processes, also where there is a Docker; tests of containers say otherwise.
os.environ["MODELPORT_ACI"] = "process"
# No cluster of a developer's either: no file has contexts.
os.environ["KUBECONFIG"] = os.devnull

with suppress(ImportError):  # the tests of wheels do without it
    from hypothesis import HealthCheck, settings

    # Whether a test passes depends neither on how busy the machine is nor on what happens to be drawn. What nobody has
    # drawn so far is looked for by make fuzz, and by pytest --hypothesis-profile searching.
    searching = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.register_profile("searching", searching)
    settings.register_profile("patient", searching, derandomize=True, database=None)
    settings.load_profile("patient")
