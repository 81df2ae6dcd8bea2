"""What Modelport makes of the files of a v1 project, and how its models and environments are taken over."""

from modelport.usecases.migration.examine import examine
from modelport.usecases.migration.findings import Finding, Place, Report
from modelport.usecases.migration.take_over import Taken, take_over

__all__ = ["Finding", "Place", "Report", "Taken", "examine", "take_over"]
