"""What a service tells of itself: metrics in memory that its processes share, an access log, and traces."""
