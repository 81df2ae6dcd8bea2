"""ObjectStore in a local folder."""

from modelport.storage.objects.store import open_objects

__all__ = ["open_objects"]
