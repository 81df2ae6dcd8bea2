"""How a running service is asked and told: ``client`` and ``endpoint`` are the ends of its control socket,
``verbs`` what can be asked for, and ``leading`` and ``peers`` have it done in all server processes of the
service."""
