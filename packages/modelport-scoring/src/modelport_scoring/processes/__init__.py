"""What the system says of processes, and gives them."""
