"""``azmlinfsrv``: serve a script where it lies."""
