"""How a class of v1 and ours are one to ``isinstance``."""

from __future__ import annotations

from typing import Any


class StandsFor(type):
    """The metaclass of a class that differs from its base by its defaults: instances of the base are its own too.

    So ``isinstance(ws.environments["mine"], azureml.core.Environment)`` holds, whoever made the object. So it is for
    the class itself, not for what is derived from it.
    """

    def __instancecheck__(cls, instance: Any) -> bool:
        direct = not isinstance(cls.__bases__[0], StandsFor)
        return type.__instancecheck__(cls.__bases__[0] if direct else cls, instance)
