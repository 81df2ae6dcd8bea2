"""Signatures, parameter by parameter, as the azureml-v1 reference has them in sections 2.1 to 2.7 and 2.16.

What Modelport adds is keyword-only; a parameter that v1 required may have a default.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from modelport import InferenceConfig, LocalWebservice, ResourceConfiguration, Webservice, Workspace
from modelport.sdk import authentication
from modelport.sdk.environment_sections import ContainerRegistry
from modelport.sdk.v1.conda_dependencies import CondaDependencies
from modelport.sdk.v1.environment import Environment
from modelport.sdk.v1.model import Model

SIGNATURES: dict[Callable[..., Any], str] = {
    Workspace: "subscription_id, resource_group, workspace_name, auth=None, _location=None, "
    "_disable_service_check=False, _workspace_id=None, sku='basic', tags=None, _cloud='AzureCloud'",
    Workspace.from_config: "path=None, auth=None, _logger=None, _file_name=None",
    Workspace.get: "name, auth=None, subscription_id=None, resource_group=None, location=None, cloud='AzureCloud', "
    "id=None",
    Workspace.create: "name, auth=None, subscription_id=None, resource_group=None, location=None, "
    "create_resource_group=True, sku='basic', tags=None, friendly_name=None, storage_account=None, key_vault=None, "
    "app_insights=None, container_registry=None, adb_workspace=None, primary_user_assigned_identity=None, "
    "cmk_keyvault=None, resource_cmk_uri=None, hbi_workspace=False, default_cpu_compute_target=None, "
    "default_gpu_compute_target=None, private_endpoint_config=None, private_endpoint_auto_approval=True, "
    "exist_ok=False, show_output=True, user_assigned_identity_for_cmk_encryption=None, "
    "system_datastores_auth_mode='accessKey'",
    Workspace.list: "subscription_id, auth=None, resource_group=None",
    Workspace.setup: "",
    Workspace.write_config: "path=None, file_name=None",
    Workspace.get_details: "",
    Workspace.update: "friendly_name=None, description=None, tags=None, image_build_compute=None, "
    "service_managed_resources_settings=None, primary_user_assigned_identity=None, "
    "allow_public_access_when_behind_vnet=None",
    Workspace.delete: "delete_dependent_resources=False, no_wait=False",
    Workspace.get_mlflow_tracking_uri: "",
    Workspace.get_default_compute_target: "type",
    Workspace.sync_keys: "no_wait=False",
    Workspace.list_keys: "",
    Workspace.update_dependencies: "container_registry=None, force=False",
    Model: "workspace, name=None, id=None, tags=None, properties=None, version=None, run_id=None, "
    "model_framework=None, expand=True, **kwargs",
    Model.register: "workspace, model_path, model_name, tags=None, properties=None, description=None, datasets=None, "
    "model_framework=None, model_framework_version=None, child_paths=None, sample_input_dataset=None, "
    "sample_output_dataset=None, resource_configuration=None",
    Model.get_model_path: "model_name, version=None, _workspace=None",
    Model.download: "target_dir='.', exist_ok=False, exists_ok=None",
    Model.list: "workspace, name=None, tags=None, properties=None, run_id=None, latest=False, dataset_id=None, "
    "expand=True, page_count=255, model_framework=None",
    Model.update: "tags=None, description=None, sample_input_dataset=None, sample_output_dataset=None, "
    "resource_configuration=None",
    Model.update_tags_properties: "add_tags=None, remove_tags=None, add_properties=None",
    Model.add_tags: "tags",
    Model.remove_tags: "tags",
    Model.add_properties: "properties",
    Model.add_dataset_references: "datasets",
    Model.get_sas_urls: "",
    Model.serialize: "",
    Model.deserialize: "workspace, model_payload",
    Model.delete: "",
    Model.deploy: "workspace, name, models, inference_config=None, deployment_config=None, deployment_target=None, "
    "overwrite=False, show_output=False",
    Model.print_configuration: "models, inference_config, deployment_config, deployment_target",
    ResourceConfiguration: "cpu=None, memory_in_gb=None, gpu=None",
    InferenceConfig: "entry_script, runtime=None, conda_file=None, extra_docker_file_steps=None, "
    "source_directory=None, enable_gpu=None, description=None, base_image=None, base_image_registry=None, "
    "cuda_version=None, environment=None",
    InferenceConfig.validate_configuration: "",
    InferenceConfig.validation_script_content: "",
    Environment: "name, **kwargs",
    Environment.from_conda_specification: "name, file_path",
    Environment.from_pip_requirements: "name, file_path, pip_version=None",
    Environment.from_docker_image: "name, image, container_registry=None, conda_specification=None, "
    "pip_requirements=None",
    Environment.from_dockerfile: "name, dockerfile, conda_specification=None, pip_requirements=None",
    Environment.from_existing_conda_environment: "name, conda_environment_name",
    Environment.register: "workspace",
    Environment.get: "workspace, name, version=None, label=None",
    Environment.list: "workspace",
    Environment.clone: "new_name",
    Environment.label: "workspace, name, version, labels",
    Environment.add_private_pip_wheel: "workspace, file_path, exist_ok=False",
    Environment.build: "workspace, image_build_compute=None",
    Environment.get_image_details: "workspace",
    Environment.save_to_directory: "path, overwrite=False",
    Environment.load_from_directory: "path",
    ContainerRegistry: "address=None, username=None, password=None, registry_identity=None",
    CondaDependencies: "conda_dependencies_file_path=None, _underlying_structure=None",
    CondaDependencies.create: "pip_indexurl=None, pip_packages=None, conda_packages=None, python_version=None, "
    "pin_sdk_version=True",
    CondaDependencies.add_pip_package: "pip_package",
    CondaDependencies.remove_pip_package: "pip_package",
    CondaDependencies.add_conda_package: "conda_package",
    CondaDependencies.remove_conda_package: "conda_package",
    CondaDependencies.add_channel: "channel",
    CondaDependencies.remove_channel: "channel",
    CondaDependencies.set_python_version: "version",
    CondaDependencies.set_pip_option: "pip_option",
    CondaDependencies.remove_pip_option: "pip_option",
    CondaDependencies.set_pip_index_url: "index_url",
    CondaDependencies.save: "path=None",
    CondaDependencies.save_to_file: "base_directory, conda_file_path=None",
    CondaDependencies.serialize_to_string: "",
    CondaDependencies.add_tensorflow_pip_package: "core_type='cpu', version=None",
    CondaDependencies.add_tensorflow_conda_package: "core_type='cpu', version=None",
    CondaDependencies.add_cntk_package: "core_type='cpu'",
    Webservice: "workspace, name",
    Webservice.wait_for_deployment: "show_output=False, timeout_sec=None",
    Webservice.update_deployment_state: "",
    Webservice.get_logs: "num_lines=5000, init=False",
    Webservice.run: "input_data",
    Webservice.get_keys: "",
    Webservice.regen_key: "key, set_key=None",
    Webservice.get_token: "",
    Webservice.delete: "",
    Webservice.list: "workspace, compute_type=None, image_name=None, image_id=None, model_name=None, model_id=None, "
    "tags=None, properties=None, image_digest=None",
    Webservice.serialize: "",
    Webservice.deserialize: "workspace, payload",
    Webservice.deploy: "workspace, name, model_paths, image_config, deployment_config=None, deployment_target=None, "
    "overwrite=False",
    Webservice.deploy_from_model: "workspace, name, models, image_config, deployment_config=None, "
    "deployment_target=None, overwrite=False",
    Webservice.deploy_from_image: "workspace, name, image, deployment_config=None, deployment_target=None, "
    "overwrite=False",
    Webservice.deploy_local_from_model: "workspace, name, models, image_config, deployment_config=None, wait=False",
    Webservice.check_for_existing_webservice: "workspace, name, overwrite=False, request_func=None, check_func=None",
    LocalWebservice: "workspace, name, must_exist=True",
    LocalWebservice.deploy_configuration: "port=None",
    LocalWebservice.wait_for_deployment: "show_output=False",
    LocalWebservice.run: "input_data",
    LocalWebservice.get_logs: "num_lines=5000, raw=False",
    LocalWebservice.reload: "wait=False",
    LocalWebservice.update: "models=None, image_config=None, deployment_config=None, wait=False, inference_config=None",
    LocalWebservice.deploy_to_cloud: "name=None, deployment_config=None, deployment_target=None",
    LocalWebservice.delete: "delete_cache=True, delete_image=False, delete_volume=True",
    LocalWebservice.list: "workspace, model_name=None, model_id=None, all=None",
    LocalWebservice.update_deployment_state: "must_exist=False",
    authentication.InteractiveLoginAuthentication: "force=False, tenant_id=None, cloud=None",
    authentication.ServicePrincipalAuthentication: "tenant_id, service_principal_id, service_principal_password, "
    "cloud='AzureCloud'",
    authentication.AzureCliAuthentication: "cloud=None",
    authentication.MsiAuthentication: "cloud=None",
    authentication.ArmTokenAuthentication: "arm_access_token",
    authentication.TokenAuthentication: "get_token_for_audience, cloud=None",
}


def parameters_of(text: str) -> list[inspect.Parameter]:
    scope: dict[str, Any] = {}
    exec(f"def of_v1({text}): pass", scope)
    return list(inspect.signature(scope["of_v1"]).parameters.values())


def own_parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """Without ``self``: the functions of the table are looked up on their classes."""
    parameters = list(inspect.signature(function).parameters.values())
    return parameters[1:] if parameters and parameters[0].name == "self" else parameters


@pytest.mark.parametrize("function", SIGNATURES, ids=lambda function: function.__qualname__)
def test_signature(function: Callable[..., Any]) -> None:
    expected = parameters_of(SIGNATURES[function])
    own = own_parameters(function)
    for ours, v1 in zip(own, expected, strict=False):
        assert (ours.name, ours.kind) == (v1.name, v1.kind)
        assert ours.default == v1.default or v1.default is inspect.Parameter.empty
    assert len(own) >= len(expected)
    more = [parameter for parameter in own[len(expected) :] if parameter.kind is not inspect.Parameter.VAR_KEYWORD]
    assert all(parameter.default is not inspect.Parameter.empty for parameter in more)
    positional = [parameter.name for parameter in more if parameter.kind is not inspect.Parameter.KEYWORD_ONLY]
    assert positional in ([], ["timeout_sec"], ["init"]), "of newer versions of v1, for other services"
