"""The data plane's public door: a service's settings, starting its supervisor, and speaking with it.

Nothing happens at import, and neither the event loop nor the parser is loaded by it.
"""

from modelport_scoring.control.client import ControlClient
from modelport_scoring.control.dialect import dialect
from modelport_scoring.errors import (
    RequestRefused,
    ScoringServiceError,
    ServiceAlreadyRunning,
    ServiceNotRunning,
    SettingsInvalid,
    SwitchFailed,
    SwitchInProgress,
)
from modelport_scoring.failures import Failure
from modelport_scoring.service_folder import (
    log_path,
    read_failure,
    read_settings,
    supervisor_log_path,
    write_settings,
)
from modelport_scoring.settings.checks import check_settings
from modelport_scoring.settings.service import (
    AuthSettings,
    Autoscale,
    Batching,
    Changes,
    ErrorMode,
    FrontEnd,
    Limits,
    RevisionSettings,
    ServiceSettings,
    TlsSettings,
    TokenKey,
    TokenSettings,
    WorkerStart,
)
from modelport_scoring.settings.telemetry import TelemetrySettings
from modelport_scoring.settings.traffic import Traffic
from modelport_scoring.states import ServiceState
from modelport_scoring.status import RevisionStatus, Status, WorkerStatus
from modelport_scoring.supervision.service_lock import supervisor_pid
from modelport_scoring.supervision.supervisor import supervisor_command
from modelport_scoring.version import __version__

__all__ = [
    "AuthSettings",
    "Autoscale",
    "Batching",
    "Changes",
    "ControlClient",
    "ErrorMode",
    "Failure",
    "FrontEnd",
    "Limits",
    "RequestRefused",
    "RevisionSettings",
    "RevisionStatus",
    "ScoringServiceError",
    "ServiceAlreadyRunning",
    "ServiceNotRunning",
    "ServiceSettings",
    "ServiceState",
    "SettingsInvalid",
    "Status",
    "SwitchFailed",
    "SwitchInProgress",
    "TelemetrySettings",
    "TlsSettings",
    "TokenKey",
    "TokenSettings",
    "Traffic",
    "WorkerStart",
    "WorkerStatus",
    "__version__",
    "check_settings",
    "dialect",
    "log_path",
    "read_failure",
    "read_settings",
    "supervisor_command",
    "supervisor_log_path",
    "supervisor_pid",
    "write_settings",
]
