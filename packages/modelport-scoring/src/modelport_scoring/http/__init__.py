"""HTTP/1.1 for whatever ``application`` answers: a ``connection`` takes requests from a ``reader``, keeps their
order, and has answers sent by ``outgoing``; the ``listener`` looks after all connections."""
