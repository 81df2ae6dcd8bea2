"""What entry scripts import from v1's server package."""
