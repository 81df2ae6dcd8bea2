"""Options of the v1 command line that have no effect on this machine, with the reason to print.

They are refused, never passed over: a deployment that silently runs without its autoscaler is worse than none.
"""

from __future__ import annotations

_CLUSTER = (
    "it needs a cluster or a cloud target (compute type aks or aci); this Modelport deploys on this machine (local)."
)
_RUNS = "it names a file of a run. modelport model register takes it, with --run-id."
_EXPERIMENTS = "a folder belongs to no experiment here; runs name theirs. Leave it out."
_DATASETS = "data sets are given in Python here: Model.list(ws, dataset_id=...), Model.profile. Leave it out."
_IMAGES = "services on this machine run without an image. Leave it out."
_PROFILES = "it needs the result of a profiling run, which this Modelport cannot make yet. Leave it out."
_INIT_LOG = "services on this machine have no init container; the log holds everything."
_MODEL_DATA = "model data is not collected yet. Leave it out; --telemetry access_log=true records requests."

_BY_REASON = {
    _CLUSTER: (
        "--cpu-cores --cc --cpu-cores-limit --ccl --memory-gb --gb --memory-gb-limit --gbl "
        "--ssl-leaf-domain-label --dns-name-label --dn --location --lo "
        "--autoscale-enabled --as "
        "--autoscale-min-replicas --mi --autoscale-max-replicas --ma --autoscale-refresh-seconds --ar "
        "--autoscale-target-utilization --at --num-replicas --nr "
        "--period-seconds --ps --initial-delay-seconds --id --timeout-seconds --ts "
        "--success-threshold --st --failure-threshold --ft --namespace --traffic-percentile --tp --is-default "
        "--is-control-version-type --cvt --version-name --vn --vnet-name --subnet-name"
    ),
    _RUNS: "--asset-path",
    _EXPERIMENTS: "--experiment-name -e",
    _DATASETS: "--dataset-id --input-dataset-id --idi",
    _IMAGES: "--image-digest",
    _PROFILES: "--profile-input --pi",
    _INIT_LOG: "--init -i",
    _MODEL_DATA: "--collect-model-data --md",
}

REFUSED = {flag: reason for reason, flags in _BY_REASON.items() for flag in flags.split()}
"""Option to reason. A command that has an option of that name honours it; this is for those that do not."""
