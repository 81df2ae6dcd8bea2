"""The process above the scoring servers: a ``supervisor`` outlives them, and holds what they come and go around."""
