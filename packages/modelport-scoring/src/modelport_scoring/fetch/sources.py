"""Reading from an address on, from any byte on: http, https, file; object stores by obstore."""

from __future__ import annotations

import http.client
import os
import shutil
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol
from urllib.parse import unquote, urlsplit

from modelport_scoring.fetch.failures import FetchFailed, Unreachable, named

AUTHORIZATION = "MODELPORT_FETCH_AUTHORIZATION"
"""Variable with the value of an ``Authorization`` header for http and https addresses."""

PATIENCE_S = 60.0
"""A server that sends nothing for so long is given up, and asked anew."""

PIECE_BYTES = 1024 * 1024
STORES = ("s3", "s3a", "gs", "az", "azure", "abfs", "abfss", "adl")
LATER = frozenset((408, 425, 429, 500, 502, 503, 504))
INSTALL_STORES = 'pip install "modelport-scoring[stores]"'


@dataclass(frozen=True)
class Opened:
    """Bytes from ``offset`` on; ``size`` of the whole, None where that is not known."""

    pieces: Iterator[bytes]
    offset: int
    size: int | None


class Source(Protocol):
    """Where bytes are read from."""

    @contextmanager
    def open(self, offset: int) -> Iterator[Opened]:
        """From that byte on, or from the first one, where the server cannot do that. Raises FetchFailed, and
        Unreachable where it may work later; reading raises OSError or http.client.HTTPException."""
        yield Opened(iter(()), 0, 0)


def source(url: str) -> Source:
    """Who reads that address. Raises FetchFailed for one that cannot be read."""
    scheme = scheme_of(url)
    if scheme in ("http", "https"):
        return WebSource(url)
    if scheme == "file":
        return FileSource(file_path(url))
    if scheme in STORES:
        return StoreSource(url)
    known = ", ".join(f"{each}://" for each in ("http", "https", "file", *STORES))
    raise FetchFailed(f"{named(url)} is no address that can be fetched: it must begin with one of {known}")


def scheme_of(url: str) -> str:
    """Raises FetchFailed where that is no address at all."""
    try:
        return urlsplit(url).scheme
    except ValueError as error:
        raise FetchFailed(f"{named(url)}: {error}") from error


def file_path(url: str) -> Path:
    """The path of a ``file://`` address. Raises FetchFailed for one of another machine."""
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise FetchFailed(f"{named(url)} names the machine {parts.netloc}; write file:///path")
    return Path(unquote(parts.path))


class FileSource:
    """A file of this machine, or of a volume."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def open(self, offset: int) -> Iterator[Opened]:
        try:
            file = self._path.open("rb")
        except OSError as error:
            raise FetchFailed(f"{self._path}: {error.strerror}") from error
        with file:
            file.seek(offset)
            yield Opened(pieces_of(file), offset, os.fstat(file.fileno()).st_size)


class WebSource:
    """By urllib: it is there in every image, heeds the variables for proxies and certificates, and streams."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._tag: str | None = None
        self._opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=ssl.create_default_context()))

    @contextmanager
    def open(self, offset: int) -> Iterator[Opened]:
        with self._ask(offset) as answer:
            begins, size = self._range(answer, offset)
            self._tag = answer.headers.get("ETag")
            yield Opened(pieces_of(answer), begins, size)

    def _ask(self, offset: int) -> Any:
        request = urllib.request.Request(self._url, headers={"Accept-Encoding": "identity"})  # noqa: S310
        if os.environ.get(AUTHORIZATION):  # not for whoever this one redirects to
            request.add_unredirected_header("Authorization", os.environ[AUTHORIZATION])
        if offset:
            request.add_header("Range", f"bytes={offset}-")
            if self._tag is not None and not self._tag.startswith("W/"):
                request.add_header("If-Range", self._tag)
        try:
            return self._opener.open(request, timeout=PATIENCE_S)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 416 and offset:  # less is there than we have: begin anew
                self._tag = None
                return self._ask(0)
            raise self._refused(error) from error
        except (http.client.InvalidURL, ValueError) as error:
            raise cannot_be_asked(self._url) from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, ssl.SSLCertVerificationError):
                text = f"its certificate is not trusted ({reason.verify_message}): name the authority in SSL_CERT_FILE"
                raise FetchFailed(f"{named(self._url)}: {text}") from error
            raise Unreachable(f"{named(self._url)}: {reason or type(error).__name__}") from error

    def _refused(self, error: urllib.error.HTTPError) -> FetchFailed:
        text = f"{named(self._url)}: {error.code} {error.reason}"
        if error.code in LATER:
            return Unreachable(text)
        if error.code in (401, 403):
            return FetchFailed(f"{text}: a signed address may have expired, or the key in {AUTHORIZATION} be wrong")
        return FetchFailed(text)

    def _range(self, answer: Any, offset: int) -> tuple[int, int | None]:
        """Where the answer begins, and how long the whole is."""
        if answer.status == 206:
            place, _, whole = answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
            begins = place.partition("-")[0]
            if not begins.isdecimal() or int(begins) > offset:
                raise FetchFailed(f"{named(self._url)}: a part that was not asked for: {place!r}")
            return int(begins), int(whole) if whole.isdecimal() else None
        length = answer.headers.get("Content-Length", "")
        return 0, int(length) if length.isdecimal() else None


class StoreSource:
    """By obstore, which knows the credentials of each cloud's machines and pods."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._store, self._key = open_store(url)

    @contextmanager
    def open(self, offset: int) -> Iterator[Opened]:
        import obstore  # noqa: PLC0415

        try:
            size = int(obstore.head(self._store, self._key)["size"])
            if offset >= size:
                yield Opened(iter(()), offset, size)
                return
            answer = obstore.get(self._store, self._key, options={"range": {"offset": offset}})
        except Exception as error:
            raise store_failure(self._url, error) from error
        yield Opened(self._pieces(answer), offset, size)

    def _pieces(self, answer: Any) -> Iterator[bytes]:
        try:
            for piece in answer.stream(min_chunk_size=PIECE_BYTES):
                yield bytes(piece)
        except Exception as error:
            raise store_failure(self._url, error) from error


def cannot_be_asked(url: str) -> FetchFailed:
    """For what urllib refuses, with a text that repeats the signature of the address."""
    return FetchFailed(
        f"{named(url)}: an address has a number as its port, and no blanks or letters beyond ASCII (%20)"
    )


def open_store(url: str) -> tuple[Any, str]:
    """The store of the address, and the key in it. Raises FetchFailed."""
    try:
        from obstore.store import from_url  # noqa: PLC0415  (16 MB, which only those pay who have an object store)
    except ImportError as error:
        raise FetchFailed(f"{named(url)} needs obstore, which is not installed: {INSTALL_STORES}") from error
    folder, _, name = url.rpartition("/")
    try:
        return from_url(folder, **store_options(url)), name
    except Exception as error:
        text = first_line(error).replace(folder, named(folder))  # obstore repeats it
        raise FetchFailed(f"{named(url)}: {text}") from error


def store_options(url: str) -> dict[str, Any]:
    """A store without TLS, one in the same cluster for example, is named as such by its own variable."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL", "") if urlsplit(url).scheme.startswith("s3") else ""
    return {"client_options": {"allow_http": True}} if endpoint.startswith("http://") else {}


def store_failure(url: str, error: Exception) -> FetchFailed:
    """What obstore's error means."""
    final = ("FileNotFoundError", "NotFoundError", "PermissionDeniedError", "UnauthenticatedError", "InvalidPathError")
    text = f"{named(url)}: {first_line(error)}"
    return FetchFailed(text) if type(error).__name__ in final else Unreachable(text)


def first_line(error: Exception) -> str:
    """What obstore prints is long; the kind and the first line tell."""
    return f"{type(error).__name__}: {(str(error).strip() or 'no reason').splitlines()[0]}"


def pieces_of(file: IO[bytes] | Any) -> Iterator[bytes]:
    while piece := file.read(PIECE_BYTES):
        yield piece


def put(path: Path, url: str) -> None:
    """Send the file to that address: ``file://``, an http address that takes PUT (a signed one), or an object store.

    Raises FetchFailed.
    """
    scheme = scheme_of(url)
    with path.open("rb") as file:
        if scheme == "file":
            _put_file(file, file_path(url))
        elif scheme in ("http", "https"):
            _put_web(file, path.stat().st_size, url)
        elif scheme in STORES:
            _put_store(file, url)
        else:
            source(url)


def _put_file(file: IO[bytes], target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = target.with_name(f".{target.name}.{os.getpid()}")
        with aside.open("wb") as copy:
            shutil.copyfileobj(file, copy, PIECE_BYTES)
        aside.replace(target)
    except OSError as error:
        raise FetchFailed(f"{target}: {error.strerror}") from error


def _put_web(file: IO[bytes], size: int, url: str) -> None:
    headers = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
    if urlsplit(url).netloc.endswith(".blob.core.windows.net"):
        headers["x-ms-blob-type"] = "BlockBlob"  # Azure takes no PUT without it
    request = urllib.request.Request(url, data=file, headers=headers, method="PUT")  # noqa: S310
    if os.environ.get(AUTHORIZATION):
        request.add_unredirected_header("Authorization", os.environ[AUTHORIZATION])
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310
            answer.read()
    except urllib.error.HTTPError as error:
        error.close()
        raise FetchFailed(f"{named(url)}: {error.code} {error.reason}") from error
    except (http.client.InvalidURL, ValueError) as error:
        raise cannot_be_asked(url) from error
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(f"{named(url)}: {getattr(error, 'reason', error)}") from error


def _put_store(file: IO[bytes], url: str) -> None:
    store, key = open_store(url)
    import obstore  # noqa: PLC0415

    try:
        obstore.put(store, key, file)
    except Exception as error:
        raise store_failure(url, error) from error
