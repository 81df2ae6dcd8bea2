"""Log files, and what gets into them that nobody has written as a message."""
