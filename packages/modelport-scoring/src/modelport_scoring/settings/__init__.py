"""What a scoring server is told to do: ``service.json``, and what may stand in it."""
