"""For every test: what a developer has set up on this machine is not used by accident."""

from __future__ import annotations

import os

# Container instances are processes, also where there is a Docker; tests of containers say otherwise.
os.environ["MODELPORT_ACI"] = "process"
# No cluster of a developer's either: no file has contexts.
os.environ["KUBECONFIG"] = os.devnull
