"""What a scoring server is told to do: ``service.json``, read when it starts and changed through its control socket.

The file lies in the service's folder, is readable by its owner only, and holds no secret: keys are kept as digests.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from modelport_scoring.settings.telemetry import TelemetrySettings
from modelport_scoring.settings.traffic import Traffic

FORMAT = 1

MOST_TOGETHER = 1024
LONGEST_WAIT_MS = 1000
"""What a batch may be set to."""

MOST_PROCESSES = 32
"""Of a service: ``server_processes``."""


class ErrorMode(StrEnum):
    """How an exception in ``run()`` reaches the client (azureml-v1 reference, 5.9)."""

    CLOUD = "cloud"
    """502 and the bare text of the exception, as clients of ACI and AKS saw it from 2019 to 2022. The default."""

    CONTAINER = "container"
    """500 and the bare text of the exception, as the container of 2021 answered."""

    JSON = "json"
    """500 and ``{"message": …}`` without the exception's text, as the current open scoring server answers."""


class FrontEnd(StrEnum):
    """In whose words a request is refused that no worker took, or none answered in time (reference, 6.4)."""

    OWN = "own"
    """JSON that names the limit, its value, and how to raise it."""

    ACI = "aci"
    """As clients of container instances read it."""

    AKS = "aks"
    """As the router of a cluster said it; which limit it was, a header tells."""


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Every bound of the data plane. The error that a bound causes names the field, so that it can be raised."""

    max_body_bytes: int = 100 * 1024 * 1024
    max_header_bytes: int = 64 * 1024
    max_connections: int = 4096
    max_pipelined: int = 32
    """Requests of one connection that are worked on at once; those of raw scripts are one by one."""
    max_queue_length: int = 2048
    """Requests that wait for a worker, over all workers of the service."""
    max_queue_bytes: int = 512 * 1024 * 1024
    """Bytes of the bodies of those requests, together."""
    max_buffered_bytes: int = 512 * 1024 * 1024
    """Bytes of the large bodies that are being received, together, beside the oldest of them. Once whole, they wait for
    a worker, and count there."""
    queue_wait_ms: int = 30_000
    """How long a request may wait for a worker, or a body for room, before it is answered 503."""
    idle_timeout_s: float = 75.0
    """A connection without a request is closed after this long."""
    request_timeout_s: float = 60.0
    """A request must have arrived whole this long after its first byte."""
    start_timeout_s: float = 3600.0
    """How long the import of the script and ``init()`` may take together."""
    scoring_timeout_ms: int = 60_000
    """How long ``run()`` may take for one request before that is answered 504."""
    scoring_grace_ms: int = 2_000
    """A worker that goes on with such a request for so long is replaced."""
    requests_per_worker: int = 1
    """So many requests count as taken by each worker that is ready, though it scores one after the other:
    ``queue_wait_ms`` holds for those beyond."""
    max_concurrent_requests: int = 100_000
    """Requests that the workers hold at once, over all workers of the service; they never hold more than keeps them
    busy, so that the default is no limit."""
    drain_timeout_s: float = 60.0
    """How long a worker that is being replaced may take to finish the requests it holds."""
    log_bytes: int = 20 * 1024 * 1024
    """A log that grows beyond this is cut; the last part stays."""


class Autoscale(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """As many workers as the load asks for, within bounds (reference, 2.9 and 6.9)."""

    min_workers: int = 1
    max_workers: int = 10
    target_utilization: float = 70.0
    """Percent of the workers that should be busy: above it some are added, below it some are removed."""
    refresh_s: float = 1.0
    """How often that is decided."""
    calm_s: float = 60.0
    """Workers are removed once so many were not needed for so long."""


class RevisionSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One revision of a service: a bundle, and the interpreter that runs it."""

    number: int
    bundle: str
    """Absolute path of the bundle's folder."""
    interpreter: list[str]
    """The command that starts Python in the bundle's environment."""
    environment_variables: dict[str, str] = {}
    keeps_python_path: bool = False
    """Whether the worker sees the caller's PYTHONPATH: only where it runs on the caller's own interpreter."""
    workers: int | None = None
    """So many workers instead of the service's, and without ``autoscale`` always so many, whatever the service has."""
    autoscale: Autoscale | None = None
    """Instead of the service's."""
    limits: dict[str, float] = {}
    """By name, instead of the service's."""
    app_root: str | None = None
    """Absolute path of an app root that lies ready, with ``azureml-models`` in it, as in an image: it is used as it is.
    None: a private copy of the bundle's ``app`` is made."""
    working_directory: str | None = None
    """Absolute path of the folder in which workers start; None: the app root."""


class TokenKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The public half of a key that signs tokens: a JSON Web Key (RFC 7517) for ES256, and nothing private."""

    kid: str
    x: str
    y: str
    kty: Literal["EC"] = "EC"
    crv: Literal["P-256"] = "P-256"
    alg: Literal["ES256"] = "ES256"
    use: Literal["sig"] = "sig"
    not_after: int | None = None
    """Unix time from which on no token of this key is accepted; None: it is the one that signs."""


class TokenSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whose tokens are accepted: JSON Web Tokens (RFC 7519), checked here without asking anybody."""

    issuer: str
    """``iss`` of a token: the workspace."""
    audience: str
    """``aud`` of a token: this service."""
    keys: list[TokenKey]
    """Any of them may have signed a token: while keys are rotated there are several."""


class AuthSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who may score: everybody, the holder of a key (``enabled``), or the holder of a token (``token``), never both."""

    enabled: bool = False
    """Whether a key is asked for."""
    key_digests: list[str] = []
    """SHA-256 digests, in hexadecimal, of the keys that are accepted."""
    token: TokenSettings | None = None
    """Given: a token is asked for."""

    @property
    def is_required(self) -> bool:
        """Whether a request must carry a credential, which the script then does not get to see."""
        return self.enabled or self.token is not None


class TlsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """HTTPS. Both files are looked at every second: changed ones are taken over without a restart."""

    certificate: str
    """Path of the certificate and its chain, PEM; a relative one starts in the service's folder."""
    key: str
    """Path of its private key, PEM, without a password."""
    minimum_version: Literal["1.2", "1.3"] = "1.2"
    """The oldest version of TLS that is spoken."""


class Batching(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Requests that wait together are scored by one call of ``run()``. Only the author of ``run()`` knows that its rows
    are independent, so this is asked for."""

    max_requests: int = 64
    """So many are scored together at most."""
    max_wait_ms: float = 0.0
    """A worker with nothing else to do waits so long for more of them. 0: what has arrived goes."""


class WorkerStart(StrEnum):
    """How the second and later workers of a service come up."""

    SPAWN = "spawn"
    """Each is a process of its own that imports the script and calls ``init()``."""

    FORK = "fork"
    """``init()`` runs once, in a process that is then forked for each worker: they share memory until they write."""


class WorkerOptions(NamedTuple):
    """What a worker is started with beside its revision: where one of them changes, workers have to be others."""

    start: WorkerStart
    warm_up: bool
    batching: Batching | None


class ServiceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole of ``service.json``."""

    name: str
    workspace: str
    revision: RevisionSettings
    """The default one: it gets the requests that ``traffic`` gives to no other."""
    others: list[RevisionSettings] = []
    """Hosted beside it."""
    traffic: Traffic = Traffic()
    format: int = FORMAT
    host: str = "127.0.0.1"
    port: int = 0
    """0: the system chooses one; the supervisor writes the one it got into the file."""
    health_port: int | None = None
    """Another port on which the same is answered, for probes that are kept apart (reference, 6.7)."""
    path_prefix: str = ""
    """Before every route, for example ``/api/v1/service/diabetes``; empty on this machine."""
    version: str = "1.0"
    """``info.version`` of the OpenAPI document."""
    server_processes: int = 1
    """So many processes accept connections, on one socket; each has its part of the workers and of the limits that are
    the service's."""
    workers: int = 1
    """Of each revision that does not say otherwise; with ``autoscale`` those to begin with."""
    autoscale: Autoscale | None = None
    worker_start: WorkerStart = WorkerStart.SPAWN
    warm_up: bool = False
    """Whether a worker calls ``run()`` with the schema's sample before it takes requests."""
    batching: Batching | None = None
    cors_origins: list[str] = []
    """Origins whose pages may read the answers; ``*``: any."""
    error_mode: ErrorMode = ErrorMode.CLOUD
    front_end: FrontEnd = FrontEnd.OWN
    telemetry: TelemetrySettings = TelemetrySettings()
    auth: AuthSettings = AuthSettings()
    tls: TlsSettings | None = None
    limits: Limits = Limits()
    log_prints: bool = False
    """Whether each ``print`` of a script is a line of the log with time and process, as v1's server had it."""
    ends_with_script: bool = False
    """Whether the service ends, with status 3, where the script cannot be started: a container's engine sees that."""
    ends_with_process: int | None = None
    """Id of the process that started the supervisor, where the service is to end with it."""

    @property
    def revisions(self) -> list[RevisionSettings]:
        """All that are hosted, the default one first."""
        return [self.revision, *self.others]

    @property
    def worker_options(self) -> WorkerOptions:
        return WorkerOptions(self.worker_start, self.warm_up, self.batching)


class RevisionSize(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How many workers one revision has; None: as the service says."""

    workers: int | None = None
    autoscale: Autoscale | None = None


class Changes(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What may change while a service runs; UNSET: as it is."""

    auth: AuthSettings | UnsetType = UNSET
    limits: Limits | UnsetType = UNSET
    error_mode: ErrorMode | UnsetType = UNSET
    workers: int | UnsetType = UNSET
    autoscale: Autoscale | UnsetType | None = UNSET
    worker_start: WorkerStart | UnsetType = UNSET
    warm_up: bool | UnsetType = UNSET
    batching: Batching | UnsetType | None = UNSET
    cors_origins: list[str] | UnsetType = UNSET
    telemetry: TelemetrySettings | UnsetType = UNSET

    @property
    def may_renew_workers(self) -> bool:
        """Whether workers may have to be replaced by others."""
        return any(each is not UNSET for each in (self.worker_start, self.warm_up, self.batching))

    def applied_to(self, settings: ServiceSettings) -> ServiceSettings:
        """The settings with what is given."""
        given = {name: value for name, value in msgspec.structs.asdict(self).items() if value is not UNSET}
        return msgspec.structs.replace(settings, **given)


def limits_of(settings: ServiceSettings, revision: RevisionSettings) -> Limits:
    """The limits of one of the service's revisions. Raises msgspec.ValidationError for names or values that cannot
    be."""
    if not revision.limits:
        return settings.limits
    return msgspec.convert({**msgspec.structs.asdict(settings.limits), **revision.limits}, Limits, strict=False)
