"""Profiles: what a model's service needs, measured on this machine (azureml-v1 reference, 8)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from modelport.domain.errors import WebserviceException
from modelport.domain.profiles import Profile, ProfileState, check_resources
from modelport.sdk.dots import Dots
from modelport.sdk.environment import Environment
from modelport.sdk.new_revision import first_revision, ids_of
from modelport.sdk.request_rows import request_rows
from modelport.usecases.find_profiles import SERVICE_LOG, profile_folder
from modelport.usecases.profile_models import ProfileRequest, observe_profile, profile_models

if TYPE_CHECKING:
    from modelport.sdk.inference import InferenceConfig
    from modelport.sdk.model import Model
    from modelport.sdk.workspace import Workspace

_PAUSE_S = 0.1

_ALWAYS = (
    "name",
    "createdTime",
    "state",
    "description",
    "requestedCpu",
    "requestedMemoryInGB",
    "requestedQueriesPerSecond",
)
_OF_FAILED = (*_ALWAYS, "error", "errorLogsUri")
_NOT_OF_SUCCEEDED = ("error", "errorLogsUri")


class ProfileDetails(dict[str, Any]):
    """Details by v1's keys. Documents spell some of them ``…InGb``: these are found too."""

    def __missing__(self, key: str) -> Any:
        spelt = key.replace("InGb", "InGB")
        if spelt == key:
            raise KeyError(key)
        return self[spelt]

    def get(self, key: str, default: Any = None) -> Any:
        """As of every dictionary."""
        try:
            return self[key]
        except KeyError:
            return default


class ModelProfile:
    """A profile of the workspace. ``Model.profile`` makes one; by its name it is found again.

    Attributes are a snapshot: ``wait_for_completion`` takes a new one.
    """

    def __init__(self, workspace: Workspace, name: str) -> None:
        """Raises WebserviceException (``ProfileNotFound``) where there is none of that name."""
        self.workspace = workspace
        self._take(observe_profile(workspace.context, name))

    def _take(self, profile: Profile) -> None:
        self._profile = profile
        self.name = profile.name
        self.id = profile.name
        self.created_time = profile.created_time
        self.description = profile.content.description
        self.state: str = profile.content.state.value
        self.error = profile.content.error
        self.model_ids = [*profile.content.model_ids]
        self.input_dataset_id = profile.content.input_dataset_id
        self.requested_cpu = profile.content.requested_cpu
        self.requested_memory_in_gb = profile.content.requested_memory_gb
        self.requested_queries_per_second = 0.0
        self.recommended_cpu = profile.content.recommended_cpu
        self.recommended_memory_in_gb = profile.content.recommended_memory_gb
        self._take_measurement()

    def _take_measurement(self) -> None:
        measured = self._profile.content.measured
        percentiles = {} if measured is None else measured.latency_percentiles_ms
        self.total_queries = measured and measured.total_queries
        self.success_queries = measured and measured.success_queries
        self.success_rate = measured and measured.success_rate
        self.average_latency_in_ms = measured and measured.average_latency_ms
        self.latency_percentile_50_in_ms = percentiles.get("50")
        self.latency_percentile_90_in_ms = percentiles.get("90")
        self.latency_percentile_95_in_ms = percentiles.get("95")
        self.latency_percentile_99_in_ms = percentiles.get("99")
        self.latency_percentile_999_in_ms = percentiles.get("999")
        self.measured_queries_per_second = measured and measured.queries_per_second
        self.max_utilized_cpu = measured and measured.max_cpu
        self.max_utilized_memory_in_gb = measured and measured.max_memory_gb

    # --- names of 2019 ------------------------------------------------------------------------------------------------

    @property
    def recommended_memory(self) -> float | None:
        """``recommended_memory_in_gb``, as it was named in 2019."""
        return self.recommended_memory_in_gb

    @property
    def recommended_cpu_latency(self) -> float | None:
        """The 90th percentile of the latency, in ms."""
        return self.latency_percentile_90_in_ms

    @property
    def recommended_memory_latency(self) -> float | None:
        """The same: one run measures both."""
        return self.latency_percentile_90_in_ms

    @property
    def profile_result_url(self) -> str:
        """The folder with the logs of the profile."""
        return profile_folder(self.workspace.context, self._profile).as_uri()

    @property
    def error_logs_url(self) -> str | None:
        """What the script printed; None where the profile succeeded."""
        if self.state != ProfileState.FAILED:
            return None
        return f"{self.profile_result_url}/{SERVICE_LOG}"

    def wait_for_profiling(self, show_output: bool = False) -> None:
        """``wait_for_completion``, as it was named in 2019."""
        self.wait_for_completion(show_output)

    def get_results(self) -> dict[str, float | None]:
        """What is recommended: ``cpu`` and ``memoryInGB``. Raises WebserviceException where there is nothing yet."""
        if self.state != ProfileState.SUCCEEDED:
            raise WebserviceException(
                f"The profile {self.name!r} has no results: it is in state {self.state}.",
                hint="profile.wait_for_completion(True) says why.",
            )
        return {"cpu": self.recommended_cpu, "memoryInGB": self.recommended_memory_in_gb}

    # --- waiting and reading ------------------------------------------------------------------------------------------

    @property
    def environment(self) -> Environment | None:
        """The environment that was profiled; None where it was the caller's own Python."""
        content = self._profile.content
        if content.environment_version is None:
            return None
        return Environment.get(self.workspace, str(content.environment_name), content.environment_version)

    def wait_for_completion(self, show_output: bool = False) -> None:
        """Return when the profile is made. Raises WebserviceException, with what stopped it, where it failed."""
        with Dots(shown=show_output, operation="Model profiling operation", of=f"profile {self.name}") as dots:
            self._take(observe_profile(self.workspace.context, self.name))
            while self.state == ProfileState.RUNNING:
                dots.tick()
                time.sleep(_PAUSE_S)
                self._take(observe_profile(self.workspace.context, self.name))
            if self.state == ProfileState.FAILED:
                raise WebserviceException(
                    f"Model profiling operation finished for profile {self.name}, current state: {self.state}\n"
                    f"{self.error}",
                    hint=f"What the script printed: {self.error_logs_url}",
                )

    def get_details(self) -> ProfileDetails:
        """What is known of it, by v1's keys: what was measured and what is recommended, or the error."""
        every = self.serialize()
        if self.state == ProfileState.SUCCEEDED:
            return ProfileDetails({key: value for key, value in every.items() if key not in _NOT_OF_SUCCEEDED})
        wanted = _OF_FAILED if self.state == ProfileState.FAILED else _ALWAYS
        return ProfileDetails({key: every[key] for key in wanted})

    def serialize(self) -> dict[str, Any]:
        """Every key of v1; None where nothing was measured."""
        content = self._profile.content
        named = {"name": content.environment_name, "version": content.environment_version}
        return {
            "id": self.id,
            "name": self.name,
            "createdTime": self.created_time.isoformat(),
            "state": self.state,
            "description": self.description,
            "requestedCpu": self.requested_cpu,
            "requestedMemoryInGB": self.requested_memory_in_gb,
            "requestedQueriesPerSecond": self.requested_queries_per_second,
            "inputDatasetId": self.input_dataset_id,
            "maxUtilizedMemoryInGB": self.max_utilized_memory_in_gb,
            "maxUtilizedCpu": self.max_utilized_cpu,
            "totalQueries": self.total_queries,
            "successQueries": self.success_queries,
            "successRate": self.success_rate,
            "averageLatencyInMs": self.average_latency_in_ms,
            "latencyPercentile50InMs": self.latency_percentile_50_in_ms,
            "latencyPercentile90InMs": self.latency_percentile_90_in_ms,
            "latencyPercentile95InMs": self.latency_percentile_95_in_ms,
            "latencyPercentile99InMs": self.latency_percentile_99_in_ms,
            "latencyPercentile999InMs": self.latency_percentile_999_in_ms,
            "measuredQueriesPerSecond": self.measured_queries_per_second,
            "modelIds": self.model_ids,
            "environment": named if content.environment_name else None,
            "error": self.error,
            "errorLogsUri": self.error_logs_url,
            "recommendedMemoryInGB": self.recommended_memory_in_gb,
            "recommendedCpu": self.recommended_cpu,
        }

    def __repr__(self) -> str:
        return f"ModelProfile(workspace={self.workspace!r}, name={self.name}, state={self.state})"


class ModelProfiling:
    """``Model.profile``."""

    @staticmethod
    def profile(
        workspace: Workspace,
        profile_name: str,
        models: Sequence[Model | str],
        inference_config: InferenceConfig | None,
        input_dataset: object = None,
        cpu: float | None = None,
        memory_in_gb: float | None = None,
        description: str | None = None,
        *,
        input_data: str | None = None,
    ) -> ModelProfile:
        """Run the models' service on this machine for a while, send it requests, and say what it needs.

        ``input_dataset``: a tabular data set with one column, each row the body of a request; or, as ``input_data`` in
        2019, one body, which is sent 100 times. ``cpu`` (0.1 to 3.5, the default) and ``memory_in_gb`` (0.1 to 15, the
        default) are what the service may use; what of it this machine cannot enforce is said. Returns when it is over:
        a profile that failed says why in its ``error``, and in ``wait_for_completion``.

        Raises WebserviceException for a bad argument, ConflictException for a name that is taken.
        """
        given = input_data if input_dataset is None else input_dataset
        chosen_cpu, chosen_memory = check_resources(cpu, memory_in_gb)
        bodies, dataset_id = request_rows(given)
        request = ProfileRequest(
            name=profile_name,
            revision=first_revision(workspace.context, ids_of(models), inference_config),
            bodies=bodies,
            cpu=chosen_cpu,
            memory_gb=chosen_memory,
            input_dataset_id=dataset_id,
            description=description,
        )
        profile_models(workspace.context, request)
        return ModelProfile(workspace, profile_name)
