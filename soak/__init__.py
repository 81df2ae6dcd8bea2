"""Long runs of the scoring server under load and under fault; see ``python -m soak --help``."""
