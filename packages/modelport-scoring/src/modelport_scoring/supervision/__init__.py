"""The process above the scoring servers: it outlives them, and holds what they come and go around."""
