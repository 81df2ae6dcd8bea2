"""The way of a request: what its path leads to, what its worker gets, and what becomes of the result."""
