"""Bodies of HTML forms: ``application/x-www-form-urlencoded`` and ``multipart/form-data`` (RFC 7578)."""

import io
from email.message import Message
from email.parser import HeaderParser
from typing import IO, Any, List, NamedTuple, Optional, Tuple, Union
from urllib.parse import unquote_plus

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"


class UploadedFile:
    """A file of a form. Reads as a binary file does."""

    def __init__(self, content: bytes, *, filename: str, name: str, content_type: str) -> None:
        self.filename = filename
        self.name = name
        self.content_type = content_type
        self.stream = io.BytesIO(content)

    def read(self, size: int = -1) -> bytes:
        return self.stream.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self.stream.seek(offset, whence)

    def tell(self) -> int:
        return self.stream.tell()

    def save(self, destination: Union[str, IO[bytes]]) -> None:
        """Write the content to a path or a binary file."""
        if hasattr(destination, "write"):
            destination.write(self.stream.getvalue())
        else:
            with open(destination, "wb") as file:
                file.write(self.stream.getvalue())

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["stream"], name)


class Form(NamedTuple):
    fields: List[Tuple[str, str]]
    files: List[Tuple[str, UploadedFile]]


def parse_pairs(text: str) -> List[Tuple[str, str]]:
    """The pairs of a query string or of an urlencoded form."""
    parts = [part.partition("=") for part in text.split("&") if part]
    return [(unquote_plus(name), unquote_plus(value)) for name, _, value in parts]


def parse_form(content_type: str, body: bytes) -> Form:
    """What a body holds if its content type is one of a form; else nothing. Raises ValueError where it is cut off."""
    header = parse_headers("Content-Type: " + content_type)
    kind = header.get_content_type()
    if kind == URLENCODED:
        return Form(parse_pairs(body.decode("utf-8", "replace")), [])
    if kind == MULTIPART:
        return parse_multipart(body, parameter(header, "boundary", "content-type"))
    return Form([], [])


def parse_multipart(body: bytes, boundary: Optional[str]) -> Form:
    if not boundary:
        raise ValueError("The content type multipart/form-data names no boundary.")
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary.encode("latin-1"))[1:]
    if not pieces or not pieces[-1].startswith(b"--"):
        raise ValueError("The multipart/form-data body has no closing boundary: it is cut off.")
    form = Form([], [])
    for piece in pieces[:-1]:
        add_part(form, piece)
    return form


def add_part(form: Form, piece: bytes) -> None:
    """Add the field or the file of one part, which begins behind its boundary."""
    head, _, content = piece.partition(b"\r\n\r\n")
    header = parse_headers(head.strip().decode("utf-8", "replace"))
    name = parameter(header, "name", "content-disposition")
    filename = parameter(header, "filename", "content-disposition")
    if name is None:
        raise ValueError("A part of the multipart/form-data body has no name.")
    if filename is None:
        form.fields.append((name, content.decode("utf-8", "replace")))
    else:
        kind = header.get("Content-Type", "application/octet-stream")
        form.files.append((name, UploadedFile(content, filename=filename, name=name, content_type=kind)))


def parse_headers(text: str) -> Message:
    return HeaderParser().parsestr(text)


def parameter(header: Message, name: str, of: str) -> Optional[str]:
    """A parameter of a header; RFC 2231 forms (``filename*=``) too."""
    value = header.get_param(name, None, of)
    if isinstance(value, tuple):
        charset, _, text = value
        return text.encode("latin-1").decode(charset or "utf-8", "replace")
    return value
