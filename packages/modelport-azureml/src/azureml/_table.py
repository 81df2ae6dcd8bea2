"""Which names the ``azureml`` modules have, and where each of them is: ``DOORS[module][name]``.

A place is one of:

``modelport.sdk.keyvault:Keyvault``
    a name of the client, imported from there when it is asked for;
``azureml._constants:VERSION``
    a name that needs no client;
``not here:training``
    a name of something that Modelport does not do: it can be imported, and says at its first use what to do instead,
    in the words of ``NOT_HERE``.

What must work without the client too (inside services and runs, in any Python) has its second place in
``WITHOUT_CLIENT``. The names are those of the azureml-v1 reference, section 2, and what scripts import beside them.
"""

from typing import Dict

Names = Dict[str, str]


def _of(module: str, *names: str) -> Names:
    return {name: module + ":" + name for name in names}


def _not_here(reason: str, *names: str) -> Names:
    return dict.fromkeys(names, "not here:" + reason)


NOT_HERE = {
    "training": "Modelport does not train models. Train with your own code (a run may record it: "
    "Experiment(ws, name).start_logging()), and register what comes of it: Model.register(ws, model_path, model_name).",
    "pipelines": "Modelport does not run pipelines yet. Run the steps as programs of their own, and register and "
    "deploy the model: Model.register, Model.deploy.",
    "clusters": "Modelport does not connect to clusters of this kind. Services and runs use this machine: deploy with "
    "LocalWebservice, AciWebservice or AksWebservice.",
    "networks": "Modelport has no private endpoints and links no services of a cloud: a workspace is on this machine. "
    "Leave the argument out.",
    "databases": "Modelport asks no databases. Save the query's result as a file, and make a data set of it: "
    "Dataset.Tabular.from_delimited_files(path).",
    "file types": "Which files a data set has is said by what makes it: Dataset.Tabular.from_delimited_files, "
    "from_parquet_files or from_json_lines_files. Leave it out.",
    "tokens": "Modelport asks no cloud for tokens. Leave it out.",
    "open data": "Modelport downloads no data sets. Download the files yourself, and read them with pandas or NumPy.",
    "functions": "Modelport does not make Azure Functions yet. Model.package(ws, models, inference_config, "
    "generate_dockerfile=True) makes a folder that builds an image of the same service.",
}
"""What is said at the first use of such a name."""

_COMPUTE = "modelport.sdk.compute"
_DATA = "azureml._data"
_IMAGES = "modelport.sdk.images"
_RUNS = "modelport.sdk.runs"

_WORKSPACE = _of("modelport.sdk.workspace", "Workspace")
_MODEL = _of("modelport.sdk.v1.model", "Model")
_INFERENCE = _of("modelport.sdk.inference", "InferenceConfig")
_PACKAGE = _of("modelport.sdk.packages", "ModelPackage")
_PROFILE = _of("modelport.sdk.profiles", "ModelProfile")
_ENVIRONMENT = _of("modelport.sdk.v1.environment", "Environment")
_SECTIONS = {
    **_of("modelport.sdk.v1.environment", "PythonSection", "DockerSection"),
    **_of("modelport.sdk.environment_sections", "SparkSection"),
}
_REGISTRY = _of("modelport.sdk.environment_sections", "ContainerRegistry")
_DEPENDENCIES = _of("modelport.sdk.v1.conda_dependencies", "CondaDependencies")
_RESOURCES = _of("modelport.domain.models", "ResourceConfiguration")
_KEYVAULT = _of("azureml._keyvault", "Keyvault")
_WEBSERVICE = _of("modelport.sdk.webservice", "Webservice")
_LOCAL = _of("modelport.sdk.local", "LocalWebservice")
_ACI = _of("modelport.sdk.aci", "AciWebservice")
_AKS = _of("modelport.sdk.aks", "AksWebservice")
_AKS_ENDPOINT = _of("modelport.sdk.aks_endpoint", "AksEndpoint")
_IMAGE = _of(_IMAGES, "Image")
_CONTAINER_IMAGE = _of(_IMAGES, "ContainerImage")
_RUN = _of("azureml._runs.run", "Run", "get_run")
_SCRIPT_RUN = _of("azureml._runs.run", "ScriptRun")
_SCRIPT_RUN_CONFIG = _of(_RUNS, "ScriptRunConfig")
_RUN_CONFIGURATION = _of("modelport.sdk.v1.run_configuration", "RunConfiguration")
_EXPERIMENT = _of(_RUNS, "Experiment")
_DATASTORE = _of(_DATA + ".datastores", "Datastore")
_DATASET = _of(_DATA + ".factories", "Dataset")
_TARGET = _of(_COMPUTE, "ComputeTarget")
_AKS_COMPUTE = _of(_COMPUTE, "AksCompute")
_AML_COMPUTE = _of(_COMPUTE, "AmlCompute")
_INSTANCE = _of(_COMPUTE, "ComputeInstance")
_KUBERNETES = _of(_COMPUTE, "KubernetesCompute")
_IMAGE_NAMES = _of("azureml._constants", "DEFAULT_CPU_IMAGE", "DEFAULT_GPU_IMAGE")
_HDFS = _not_here("clusters", "HDFSOutputDatasetConfig")
_LINKED = _not_here("networks", "LinkedService", "SynapseWorkspaceLinkedServiceConfiguration")
_PRIVATE = _not_here("networks", "PrivateEndPoint", "PrivateEndPointConfig")
_ATTACHED = _not_here(
    "clusters",
    "attach_legacy_compute_target",
    "remove_legacy_compute_target",
    "prepare_compute_target",
    "is_compute_target_prepared",
)
_EXPRESSIONS = _not_here(
    "training",
    *("choice", "lognormal", "loguniform", "normal", "qlognormal", "qloguniform", "qnormal", "quniform", "randint"),
    "uniform",
)
_GOALS = _not_here("training", "HyperDriveRun", "PrimaryMetricGoal")
_POLICIES = _not_here(
    "training", "BanditPolicy", "MedianStoppingPolicy", "NoTerminationPolicy", "TruncationSelectionPolicy"
)
_SAMPLINGS = _not_here("training", "BayesianParameterSampling", "GridParameterSampling", "RandomParameterSampling")
_SEARCHES = _not_here("training", "HyperDriveConfig", "HyperDriveRunConfig")


def _error(*names: str) -> Names:
    return _of("azureml.exceptions", *names)


DOORS: Dict[str, Names] = {
    "azureml.core": {
        **_of("azureml._constants", "VERSION"),
        "__version__": "azureml._constants:VERSION",
        **_WORKSPACE,
        **_EXPERIMENT,
        **_RUN,
        **_RUN_CONFIGURATION,
        **_SCRIPT_RUN,
        **_SCRIPT_RUN_CONFIG,
        **_MODEL,
        **_IMAGE,
        **_WEBSERVICE,
        **_ENVIRONMENT,
        **_DATASET,
        **_DATASTORE,
        **_TARGET,
        **_REGISTRY,
        **_KEYVAULT,
        **_LINKED,
        **_PRIVATE,
        **_ATTACHED,
        **_of("modelport.sdk.diagnostics", "diagnostic_log"),
    },
    "azureml.core.authentication": {
        **_of(
            "modelport.sdk.authentication",
            "InteractiveLoginAuthentication",
            "AzureCliAuthentication",
            "ServicePrincipalAuthentication",
            "MsiAuthentication",
            "ArmTokenAuthentication",
            "TokenAuthentication",
            "AzureMLTokenAuthentication",
            "AbstractAuthentication",
        ),
        **_error("AuthenticationException"),
        **_not_here("tokens", "Audience"),
    },
    "azureml.core.compute": {
        **_TARGET,
        **_AKS_COMPUTE,
        **_AML_COMPUTE,
        **_INSTANCE,
        **_KUBERNETES,
        **_of(
            _COMPUTE,
            "RemoteCompute",
            "DsvmCompute",
            "HDInsightCompute",
            "DatabricksCompute",
            "DataFactoryCompute",
            "AdlaCompute",
            "BatchCompute",
            "KustoCompute",
            "SynapseCompute",
        ),
    },
    "azureml.core.compute.compute": {**_TARGET, **_error("ComputeTargetException")},
    "azureml.core.compute.aks": {
        **_AKS_COMPUTE,
        **_of(_COMPUTE, "AksUpdateConfiguration", "SslConfiguration"),
    },
    "azureml.core.compute.amlcompute": {**_AML_COMPUTE, **_of(_COMPUTE, "AmlComputeStatus", "ScaleSettings")},
    "azureml.core.compute.computeinstance": _INSTANCE,
    "azureml.core.compute.kubernetescompute": _KUBERNETES,
    "azureml.core.compute.remote": _of(_COMPUTE, "RemoteCompute"),
    "azureml.core.compute.dsvm": _of(_COMPUTE, "DsvmCompute"),
    "azureml.core.compute.hdinsight": _of(_COMPUTE, "HDInsightCompute"),
    "azureml.core.compute.databricks": _of(_COMPUTE, "DatabricksCompute"),
    "azureml.core.compute.datafactory": _of(_COMPUTE, "DataFactoryCompute"),
    "azureml.core.compute.adla": _of(_COMPUTE, "AdlaCompute"),
    "azureml.core.compute.batch": _of(_COMPUTE, "BatchCompute"),
    "azureml.core.compute.kusto": _of(_COMPUTE, "KustoCompute"),
    "azureml.core.compute.synapse": _of(_COMPUTE, "SynapseCompute"),
    "azureml.core.compute_target": {
        **_error("ComputeTargetException"),
        **_of(_COMPUTE, "LocalTarget"),
        **_ATTACHED,
    },
    "azureml.core.conda_dependencies": _DEPENDENCIES,
    "azureml.core.container_registry": _REGISTRY,
    "azureml.core.databricks": _not_here(
        "clusters",
        "DatabricksCluster",
        "DatabricksSection",
        "EggLibrary",
        "JarLibrary",
        "MavenLibrary",
        "PyPiLibrary",
        "RCranLibrary",
    ),
    "azureml.core.dataset": _DATASET,
    "azureml.core.datastore": _DATASTORE,
    "azureml.core.environment": {
        **_ENVIRONMENT,
        **_SECTIONS,
        **_of("modelport.sdk.environment_sections", "RSection", "DatabricksSection"),
        **_not_here("training", "RCranPackage", "RGitHubPackage"),
        **_DEPENDENCIES,
        **_REGISTRY,
        **_IMAGE_NAMES,
        **_of("modelport.sdk.environment_build", "ImageBuildDetails"),
    },
    "azureml.core.experiment": _EXPERIMENT,
    "azureml.core.image": {**_IMAGE, **_CONTAINER_IMAGE, **_of(_IMAGES, "UnknownImage")},
    "azureml.core.image.image": _IMAGE,
    "azureml.core.image.container": {**_CONTAINER_IMAGE, **_of(_IMAGES, "ContainerImageConfig")},
    "azureml.core.image.unknown_image": _of(_IMAGES, "UnknownImage"),
    "azureml.core.keyvault": _KEYVAULT,
    "azureml.core.linked_service": _LINKED,
    "azureml.core.model": {
        **_MODEL,
        **_INFERENCE,
        **_PACKAGE,
        **_DATASET,
        **_of("azureml._served_model", "MODELS_DIR"),
        **_error("ModelNotFoundException", "ModelPathNotFoundException", "WebserviceException"),
    },
    "azureml.core.private_endpoint": _PRIVATE,
    "azureml.core.profile": _PROFILE,
    "azureml.core.resource_configuration": _RESOURCES,
    "azureml.core.run": {
        **_RUN,
        **_of("azureml._runs.run", "_SubmittedRun"),
        **_of("azureml._runs.offline", "_OfflineRun"),
        **_error("RunEnvironmentException"),
    },
    "azureml.core.runconfig": {
        **_RUN_CONFIGURATION,
        **_DEPENDENCIES,
        **_REGISTRY,
        **_IMAGE_NAMES,
        **_of(_RUNS, "DataReferenceConfiguration", "DockerConfiguration", "MpiConfiguration"),
        **_SECTIONS,
        **_not_here("clusters", "EggLibrary", "JarLibrary", "MavenLibrary", "PyPiLibrary", "RCranLibrary"),
        **_not_here("training", "ParallelTaskConfiguration", "PyTorchConfiguration", "TensorflowConfiguration"),
    },
    "azureml.core.script_run": _SCRIPT_RUN,
    "azureml.core.script_run_config": _SCRIPT_RUN_CONFIG,
    "azureml.core.webservice": {
        **_WEBSERVICE,
        **_ACI,
        **_AKS,
        **_AKS_ENDPOINT,
        **_LOCAL,
        **_of("modelport.sdk.webservice", "UnknownWebservice"),
        **_error("WebserviceException"),
    },
    "azureml.core.webservice.webservice": {
        **_WEBSERVICE,
        **_of("modelport.sdk.webservice", "UnknownWebservice"),
        **_error("WebserviceException"),
    },
    "azureml.core.webservice.aci": {
        **_ACI,
        **_of("modelport.sdk.aci", "AciServiceDeploymentConfiguration"),
    },
    "azureml.core.webservice.aks": {
        **_AKS,
        **_AKS_ENDPOINT,
        **_of("modelport.sdk.aks", "AksServiceDeploymentConfiguration"),
        **_of("modelport.sdk.aks_endpoint", "AksEndpointDeploymentConfiguration"),
    },
    "azureml.core.webservice.local": {
        **_LOCAL,
        "LocalWebserviceDeploymentConfiguration": "modelport.sdk.local_configuration:LocalDeploymentConfiguration",
    },
    "azureml.core.workspace": {**_WORKSPACE, **_error("WorkspaceException")},
    "azureml.data": {
        **_of(_DATA + ".datasets", "FileDataset", "TabularDataset"),
        **_of(_DATA + ".output", "OutputFileDatasetConfig"),
        **_of(_DATA + ".types", "DataType"),
        **_HDFS,
    },
    "azureml.data.azure_storage_datastore": _of(_DATA + ".datastores", "AzureBlobDatastore", "AzureFileDatastore"),
    "azureml.data.abstract_dataset": _of(_DATA + ".datasets", "AbstractDataset"),
    "azureml.data.data_reference": _of(_DATA + ".references", "DataReference"),
    "azureml.data.datapath": {
        **_of(_DATA + ".references", "DataPath"),
        **_not_here("pipelines", "DataPathComputeBinding"),
    },
    "azureml.data.dataset_consumption_config": _of(_DATA + ".consumption", "DatasetConsumptionConfig"),
    "azureml.data.dataset_factory": {
        **_of(_DATA + ".factories", "FileDatasetFactory", "TabularDatasetFactory"),
        **_of(_DATA + ".types", "DataType"),
    },
    "azureml.data.dataset_error_handling": _of(_DATA + ".errors", "DatasetExecutionError", "DatasetValidationError"),
    "azureml.data.dataset_type_definitions": {
        **_of(_DATA + ".types", "PromoteHeadersBehavior"),
        **_not_here("file types", "FileType"),
    },
    "azureml.data.file_dataset": _of(_DATA + ".datasets", "FileDataset"),
    "azureml.data.output_dataset_config": {**_of(_DATA + ".output", "OutputFileDatasetConfig"), **_HDFS},
    "azureml.data.sql_data_reference": _not_here("databases", "SqlDataReference"),
    "azureml.data.tabular_dataset": _of(_DATA + ".datasets", "TabularDataset"),
    "azureml.assets.functions": _not_here(
        "functions", "package", "package_http", "package_blob", "package_service_bus_queue"
    ),
    "azureml.contrib.functions": {
        **_not_here("functions", "package", "package_http", "package_blob", "package_service_bus_queue"),
        **_of("azureml._constants", "HTTP_TRIGGER", "BLOB_TRIGGER", "SERVICE_BUS_QUEUE_TRIGGER"),
    },
    "azureml.contrib.pipeline.steps": _not_here("pipelines", "ParallelRunConfig", "ParallelRunStep"),
    "azureml.pipeline.core": _not_here(
        "pipelines",
        "InputPortBinding",
        "OutputPortBinding",
        "Pipeline",
        "PipelineData",
        "PipelineDataset",
        "PipelineDraft",
        "PipelineEndpoint",
        "PipelineParameter",
        "PipelineRun",
        "PipelineStep",
        "PortDataReference",
        "PublishedPipeline",
        "Schedule",
        "ScheduleRecurrence",
        "StepRun",
        "StepSequence",
        "TrainingOutput",
    ),
    "azureml.pipeline.core.graph": _not_here("pipelines", "InputPortDef", "OutputPortDef", "PipelineParameter"),
    "azureml.pipeline.core.module": _not_here("pipelines", "Module", "ModuleVersion", "ModuleVersionDescriptor"),
    "azureml.pipeline.core.pipeline": _not_here("pipelines", "Pipeline"),
    "azureml.pipeline.core.run": _not_here("pipelines", "PipelineRun", "StepRun"),
    "azureml.pipeline.core.schedule": _not_here("pipelines", "Schedule", "ScheduleRecurrence", "TimeZone"),
    "azureml.pipeline.steps": _not_here(
        "pipelines",
        "AdlaStep",
        "AutoMLStep",
        "AzureBatchStep",
        "CommandStep",
        "DataTransferStep",
        "DatabricksStep",
        "EstimatorStep",
        "HyperDriveStep",
        "HyperDriveStepRun",
        "KustoStep",
        "ModuleStep",
        "MpiStep",
        "ParallelRunConfig",
        "ParallelRunStep",
        "PythonScriptStep",
        "RScriptStep",
        "SynapseSparkStep",
    ),
    "azureml.pipeline.steps.hyper_drive_step": _not_here("pipelines", "HyperDriveStep", "HyperDriveStepRun"),
    "azureml.opendatasets": _not_here(
        "open data", "Diabetes", "MNIST", "NoaaIsdWeather", "NycTlcGreen", "NycTlcYellow", "OjSalesSimulated"
    ),
    "azureml.telemetry": {
        **_of("modelport.sdk.diagnostics", "set_diagnostics_collection"),
        **_of("azureml._constants", "INSTRUMENTATION_KEY"),
    },
    "azureml.train.automl": _not_here("training", "AutoMLConfig", "AutoMLExplainer", "AutoMLStep"),
    "azureml.train.automl.run": _not_here("training", "AutoMLRun"),
    "azureml.train.dnn": _not_here(
        "training", "Chainer", "Gloo", "Mpi", "Nccl", "ParameterServer", "PyTorch", "TensorFlow"
    ),
    "azureml.train.estimator": _of(_RUNS, "Estimator"),
    "azureml.train.hyperdrive": {**_GOALS, **_SAMPLINGS, **_POLICIES, **_SEARCHES, **_EXPRESSIONS},
    "azureml.train.hyperdrive.parameter_expressions": _EXPRESSIONS,
    "azureml.train.hyperdrive.policy": _POLICIES,
    "azureml.train.hyperdrive.run": _GOALS,
    "azureml.train.hyperdrive.runconfig": _SEARCHES,
    "azureml.train.hyperdrive.sampling": _SAMPLINGS,
    "azureml.train.sklearn": _of(_RUNS, "SKLearn"),
    "azureml.widgets": _of(_RUNS, "RunDetails"),
}

WITHOUT_CLIENT = {"modelport.sdk.v1.model:Model": "azureml._served_model:Model"}
"""Where a name of the client is looked up in a service, and in a Python that has no client."""
