"""``azureml.widgets``: what a notebook shows of a run."""

from __future__ import annotations

from azureml._runs.run import Run


class RunDetails:
    """The state of a run. Where v1 had a widget that followed it, this prints it as it is now."""

    def __init__(self, run_instance: Run) -> None:
        self.run_instance = run_instance

    def show(self, render_lib: object = None, widget_settings: object = None) -> None:
        """Print the run, what it has logged, and how to follow it."""
        run = self.run_instance
        lines = [repr(run), *(f"{name}: {value}" for name, value in run.get_metrics().items())]
        lines.append(f"Files: {run.get_portal_url()}")
        if run.get_status() in ("NotStarted", "Preparing", "Starting", "Running", "Finalizing"):
            lines.append("run.wait_for_completion(show_output=True) shows what it prints.")
        print("\n".join(lines))  # noqa: T201 - this is what show is for

    def get_widget_data(self, widget_settings: object = None) -> dict[str, object]:
        """What ``show`` prints, as a dictionary."""
        return {"status": self.run_instance.get_status(), "run_metrics": self.run_instance.get_metrics()}
