"""What a scoring server is told to do: ``service.json``, what may stand in it, and what it means for one process."""
