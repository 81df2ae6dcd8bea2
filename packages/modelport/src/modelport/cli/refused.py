"""Options of the v1 command line that have no effect on this machine, with the reason to print.

They are refused, never passed over: a deployment that silently runs without its autoscaler is worse than none.
"""

from __future__ import annotations

_VERSIONS = (
    "it belongs to a version of an endpoint: az-ml endpoint realtime create-version, update-version. Leave it out."
)
_RUNS = "it names a file of a run. modelport model register takes it, with --run-id."
_EXPERIMENTS = "a folder belongs to no experiment here; runs name theirs. Leave it out."
_DATASETS = "models are listed by data set in Python here: Model.list(ws, dataset_id=...). Leave it out."

_BY_REASON = {
    _VERSIONS: "--is-default --is-control-version-type --cvt --version-name --vn --traffic-percentile --tp",
    _RUNS: "--asset-path",
    _EXPERIMENTS: "--experiment-name -e",
    _DATASETS: "--dataset-id",
}

REFUSED = {flag: reason for reason, flags in _BY_REASON.items() for flag in flags.split()}
"""Option to reason. A command that has an option of that name honours it; this is for those that do not."""
