"""The in-memory twins of both stores: for tests, and for trying things without a trace.

They keep the same promises as the real ones, but for outliving the process. Safe to use from several threads.
"""

from modelport.storage.memory.metadata import MemoryStore
from modelport.storage.memory.objects import MemoryObjects

__all__ = ["MemoryObjects", "MemoryStore"]
