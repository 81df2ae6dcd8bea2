"""Wiring: the one place that knows every implementation. Nothing happens at import."""

from modelport.composition.workspaces import Installation, open_workspace, workspace_exists

__all__ = ["Installation", "open_workspace", "workspace_exists"]
