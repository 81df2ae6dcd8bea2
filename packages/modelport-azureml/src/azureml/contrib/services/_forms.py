"""Bodies of HTML forms: ``application/x-www-form-urlencoded`` and ``multipart/form-data``."""

from codecs import register_error
from typing import List, NamedTuple, Optional, Tuple
from urllib.parse import quote, unquote_plus

from azureml.contrib.services._mappings import Headers
from azureml.contrib.services._multipart import Part, read_parameters, read_parts
from azureml.contrib.services._uploaded_file import BodyFile, UploadedFile

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
TYPES = (URLENCODED, MULTIPART)
ESCAPED = "modelport.escaped"
"""The name of the handler of errors below."""


class Form(NamedTuple):
    fields: List[Tuple[str, str]]
    files: List[Tuple[str, UploadedFile]]


def parse_pairs(text: str) -> List[Tuple[str, str]]:
    """The pairs of a query string or of an urlencoded form. Escapes of what is not UTF-8 stay escapes."""
    parts = [part.partition("=") for part in text.split("&") if part]
    return [(unquote_plus(name, errors=ESCAPED), unquote_plus(value, errors=ESCAPED)) for name, _, value in parts]


def escaped_again(error: UnicodeError) -> Tuple[str, int]:
    """For bytes that are not UTF-8: as they stood in the query."""
    assert isinstance(error, UnicodeDecodeError), "it is registered for decoding alone"
    return quote(error.object[error.start : error.end]), error.end


register_error(ESCAPED, escaped_again)


def kind_of(content_type: str) -> str:
    """A content type without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def parse_form(content_type: str, body: bytes) -> Form:
    """What a body holds if its content type is one of a form; else nothing. Raises ValueError where it is damaged."""
    kind = kind_of(content_type)
    if kind == URLENCODED:
        return Form(parse_pairs(body.decode("utf-8", "replace")), [])
    if kind == MULTIPART:
        return parse_multipart(body, read_parameters(content_type)[1].get("boundary"))
    return Form([], [])


def parse_multipart(body: bytes, boundary: Optional[str]) -> Form:
    form = Form([], [])
    for part in read_parts(body, boundary):
        content = BodyFile(body, part.start, part.end)
        if part.filename is None:
            form.fields.append((part.name, content.read().decode(charset_of(part), "replace")))
        else:
            file = UploadedFile(content, filename=part.filename, name=part.name, headers=Headers(part.headers))
            form.files.append((part.name, file))
    return form


def charset_of(part: Part) -> str:
    """Of a field: what its content type says, if that is one of those that forms are written in."""
    described = {name.lower(): value for name, value in part.headers}
    charset = read_parameters(described.get("content-type", ""))[1].get("charset", "").lower()
    return charset if charset in ("us-ascii", "iso-8859-1") else "utf-8"
