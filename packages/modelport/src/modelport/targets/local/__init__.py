"""The local target: services as processes of this machine."""

from modelport.targets.local.driver import LocalTarget
from modelport.targets.local.plan import LocalPlan, plan

__all__ = ["LocalPlan", "LocalTarget", "plan"]
