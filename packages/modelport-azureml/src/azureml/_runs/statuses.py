"""The states of a run (azureml-v1 reference, 2.12)."""

NOT_STARTED = "NotStarted"
PREPARING = "Preparing"
QUEUED = "Queued"
STARTING = "Starting"
RUNNING = "Running"
FINALIZING = "Finalizing"
CANCEL_REQUESTED = "CancelRequested"
COMPLETED = "Completed"
FAILED = "Failed"
CANCELED = "Canceled"

TERMINAL = frozenset((COMPLETED, FAILED, CANCELED))
"""A run in one of these never changes its state again."""
