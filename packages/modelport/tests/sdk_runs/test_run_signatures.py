"""Signatures, parameter by parameter, as the azureml-v1 reference has them in section 2.12."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from modelport import Dataset, Datastore, Experiment, Keyvault, Run, ScriptRunConfig
from modelport.sdk.data import AzureBlobDatastore, FileDataset, TabularDataset

SIGNATURES: dict[Callable[..., Any], str] = {
    Experiment.submit: "self, config, tags=None, **kwargs",
    Experiment.start_logging: "self, outputs=None, snapshot_directory='.'",
    Experiment.get_runs: "self, type=None, tags=None, properties=None, include_children=False",
    Run.get_context: "allow_offline=True",
    Run.log: "self, name, value, description='', step=None",
    Run.log_row: "self, name, description=None, **kwargs",
    Run.log_image: "self, name, path=None, plot=None",
    Run.upload_file: "self, name, path_or_stream, datastore_name=None",
    Run.download_file: "self, name, output_file_path=None",
    Run.download_files: "self, prefix=None, output_directory=None, output_paths=None, batch_size=100, "
    "append_prefix=True",
    Run.register_model: "self, model_name, model_path=None, tags=None, properties=None, model_framework=None, "
    "model_framework_version=None, description=None, datasets=None, sample_input_dataset=None, "
    "sample_output_dataset=None, resource_configuration=None, **kwargs",
    Run.wait_for_completion: "self, show_output=False, wait_post_processing=False, raise_on_error=True",
    Run.fail: "self, error_details=None, error_code=None",
    Run.child_run: "self, name=None",
    ScriptRunConfig: "source_directory=None, script=None, arguments=None, run_config=None",
    Datastore.get: "workspace, datastore_name",
    AzureBlobDatastore.upload: "self, src_dir, target_path=None, overwrite=False",
    AzureBlobDatastore.upload_files: "self, files, relative_root=None, target_path=None, overwrite=False, "
    "show_progress=True",
    AzureBlobDatastore.download: "self, target_path, prefix=None, overwrite=False",
    AzureBlobDatastore.path: "self, path=None",
    Dataset.get_by_name: "workspace, name, version='latest'",
    TabularDataset.register: "self, workspace, name, description=None, tags=None, create_new_version=False",
    FileDataset.as_named_input: "self, name",
    Keyvault.set_secret: "self, name, value",
    Keyvault.get_secret: "self, name",
}


@pytest.mark.parametrize("function", SIGNATURES, ids=lambda function: function.__qualname__)
def test_signature(function: Callable[..., Any]) -> None:
    parameters = list(inspect.signature(function).parameters.values())
    plain = [str(each.replace(annotation=inspect.Parameter.empty)) for each in parameters]
    wanted = SIGNATURES[function].split(", ")
    positional = [each for each in wanted if not each.startswith("**")]
    assert plain[: len(positional)] == positional
    assert [each for each in wanted if each.startswith("**")] == [
        each for each in plain if each.startswith("**") and each in wanted
    ]


MEMBERS: dict[type, str] = {
    Run: "status get_status get_details get_metrics wait_for_completion complete fail cancel child_run get_children "
    "tag set_tags get_tags remove_tags add_properties id number name display_name parent properties tags log_list "
    "log_table log_confusion_matrix log_accuracy_table log_predictions log_residuals upload_folder "
    "upload_files get_file_names",
    Experiment: "archive tag set_tags remove_tags list",
    Keyvault: "delete_secret list_secrets",
}


@pytest.mark.parametrize("kind", MEMBERS)
def test_every_other_member_is_there(kind: type) -> None:
    assert [name for name in MEMBERS[kind].split() if not hasattr(kind, name)] == []
