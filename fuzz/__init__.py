"""Coverage-guided fuzzing of whatever reads bytes that others wrote; see ``python -m fuzz --help``."""
