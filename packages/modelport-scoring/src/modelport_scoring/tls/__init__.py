"""The certificate of a service."""
