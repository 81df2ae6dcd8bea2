"""What a service hosts: ``hosting`` is all of its revisions, ``hosted`` the place of one, and ``revision`` its
folder and its workers while it runs; one that goes is ``draining``."""
