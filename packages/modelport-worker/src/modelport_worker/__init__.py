"""Runs the ``init()`` and ``run()`` of an entry script in the user's own Python, for Modelport's scoring server.

Nothing here is for users to import: a worker is started by the path of ``__main__.py``, and ``frames`` is what it and
the scoring server say to each other. Only the standard library is used, from Python 3.6 on.
"""

__all__ = []
