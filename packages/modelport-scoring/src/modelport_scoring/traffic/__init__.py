"""Which revision gets a request, and which one a copy of it."""
