"""The processes that run a script: a ``pool`` gives each request, as a ``ticket``, to a ``worker``, whose ``link``
sends it, and whose ``replies`` tell the ticket what came of it; a ``group`` keeps as many workers alive as are
wanted."""
