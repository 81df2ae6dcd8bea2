"""Real container engines: services in them (``make test-containers``, which CI runs), packages and images
(``make test-packages``; CI follows the same lines as processes)."""
