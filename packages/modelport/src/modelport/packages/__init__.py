"""Packages: folders from which an image of a bundle is built, anywhere (docs/packages.md)."""

from modelport.packages.context import copy_context, write_context
from modelport.packages.engine import ContainerEngine, find_engine
from modelport.packages.plan import PackagePlan, plan_package

__all__ = ["ContainerEngine", "PackagePlan", "copy_context", "find_engine", "plan_package", "write_context"]
