"""Fetching what a container is to serve: the archives of a bundle and of its environment, from where a target put them.

``python -m modelport_scoring.fetch`` is the program of an init container (docs/packages.md).
"""
