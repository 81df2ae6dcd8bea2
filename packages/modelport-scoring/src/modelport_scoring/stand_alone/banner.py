"""What ``azmlinfsrv`` writes before it serves: its settings, by the names under which v1's command listed them, which
programs that start it look for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from modelport_scoring.version import NAMED

KEY = "AML_APP_INSIGHTS_KEY"
ENABLED = "AML_APP_INSIGHTS_ENABLED"
ORIGINS = "AML_CORS_ORIGINS"
INSTRUMENTATION_KEY = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

LISTED = {
    "AZUREML_ENTRY_SCRIPT": "Entry Script Name",
    "AZUREML_MODEL_DIR": "Model Directory",
    "AZUREML_CONFIG_FILE": "Config File",
    "WORKER_COUNT": "Worker Count",
    "WORKER_TIMEOUT": "Worker Timeout (seconds)",
    "SERVER_PORT": "Server Port",
    "HEALTH_PORT": "Health Port",
    ENABLED: "Application Insights Enabled",
    KEY: "Application Insights Key",
    NAMED: "Inferencing HTTP server version",
    ORIGINS: "CORS for the specified origins",
    "SEPERATE_HEALTH_ENDPOINT": "Create dedicated endpoint for health",
}


def is_key(text: str) -> bool:
    """Whether that can be an instrumentation key of Application Insights: a UUID."""
    return INSTRUMENTATION_KEY.fullmatch(text) is not None


def insights_enabled(variables: Mapping[str, str]) -> bool:
    """Whether requests are to be recorded: that is asked for, with a key that can be one."""
    return variables.get(ENABLED) == "true" and is_key(variables.get(KEY, ""))


def verdict_on_key(variables: Mapping[str, str]) -> list[str]:
    """What is said of the key, where requests are to be recorded with one."""
    if variables.get(ENABLED) != "true" or KEY not in variables:
        return []
    if is_key(variables[KEY]):
        return ["Valid Application Insights instrumentation key provided. Requests are written here as JSON, not sent."]
    return [
        "Invalid Application Insights instrumentation key provided.",
        "Application Insights has been disabled.",
    ]


def banner(variables: Mapping[str, str]) -> Iterator[str]:
    """The lines of the list. ``variables`` are those in force; a key is not shown."""
    yield "Server Settings"
    yield "---------------"
    for variable, label in LISTED.items():
        yield f"{label}: {shown(variable, variables.get(variable))}"
    yield ""
    yield "Server Routes"
    yield "---------------"
    prefix = variables.get("SERVICE_PATH_PREFIX", "").strip("/")
    below = f"/{prefix}" if prefix else ""
    yield f"Liveness Probe: GET   127.0.0.1:{variables['HEALTH_PORT']}{below}/"
    yield f"Score:          POST  127.0.0.1:{variables['SERVER_PORT']}{below}/score"
    yield ""


def shown(variable: str, value: str | None) -> str:
    if value is None:
        return "None"
    if variable == KEY:
        return "AppInsights key provided"
    return f"Enabling CORS for {value}" if variable == ORIGINS else value
