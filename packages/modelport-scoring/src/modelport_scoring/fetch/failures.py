"""Why something could not be fetched: each class has the exit status of the program."""

from __future__ import annotations

from urllib.parse import urlsplit


class FetchFailed(Exception):
    """The message names the address, and what to try."""

    status = 1


class Unreachable(FetchFailed):
    """It may work later: the network, the store's server, or too many requests."""


class Refused(FetchFailed):
    """What came is not what was asked for, or would be dangerous to unpack."""

    status = 3


class CannotWrite(FetchFailed):
    """The folder cannot be written, or the disk is full."""

    status = 4


def named(url: str) -> str:
    """The address without what may be secret in it: a user, and the query, which signs it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "the address, which is none"
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"
