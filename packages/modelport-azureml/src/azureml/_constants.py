"""Values that scripts print and compare."""

VERSION = "1.36.0"
"""The SDK whose names these are."""

DEFAULT_CPU_IMAGE = "mcr.microsoft.com/azureml/openmpi3.1.2-ubuntu18.04:20210806.v1"
DEFAULT_GPU_IMAGE = "mcr.microsoft.com/azureml/openmpi3.1.2-cuda10.1-cudnn7-ubuntu18.04:20210806.v1"
"""Names of the images that v1 took. Modelport pulls neither: they mean "no image of your own"."""

INSTRUMENTATION_KEY = "00000000-0000-0000-0000-000000000000"
"""Of nobody: nothing is sent anywhere."""

HTTP_TRIGGER = "httpTrigger"
BLOB_TRIGGER = "blobTrigger"
SERVICE_BUS_QUEUE_TRIGGER = "serviceBusQueueTrigger"
