"""One module for each target, with ``check_one``: it takes any bytes, and raises where something is wrong. None needs
atheris: the tests replay every kept input without it."""
