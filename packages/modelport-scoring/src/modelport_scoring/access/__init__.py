"""Who may score: a ``gate`` judges the Authorization header of a request, by keys or by tokens."""
