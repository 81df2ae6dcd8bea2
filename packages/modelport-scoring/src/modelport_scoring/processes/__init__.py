"""What the system says of processes and gives them, and what one of several has of the whole."""
