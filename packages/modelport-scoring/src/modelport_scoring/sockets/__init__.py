"""What happens to listening sockets at the end of a process: handed over to the next one, or closed without a reset."""
