"""What serves an image: its start program, and how whoever starts the container tells it things, and is told."""
