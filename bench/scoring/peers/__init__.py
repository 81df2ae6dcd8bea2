"""The peers: a folder for each, with how it is started (``peer``), its server's code and its pinned requirements."""
