"""What serves an image: its start program, and how whoever started the container tells it things, and is told."""
