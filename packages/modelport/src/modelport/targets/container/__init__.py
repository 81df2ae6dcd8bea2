"""The container target: services as containers of an engine, by the API that Docker and Podman share."""
