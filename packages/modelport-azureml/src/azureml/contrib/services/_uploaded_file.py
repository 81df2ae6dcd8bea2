"""A file of a form, read where it lies in the body."""

import io
import os
from typing import IO, Any, Dict, Optional, Union

from azureml.contrib.services._mappings import Headers
from azureml.contrib.services._multipart import read_parameters


class BodyFile(io.BufferedIOBase):
    """``body[start:end]`` as a binary file that can be read. Only what is read is copied."""

    def __init__(self, body: bytes, start: int, end: int) -> None:
        self._body = body
        self._start = start
        self._end = end
        self._position = start

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: Optional[int] = -1) -> bytes:
        left = self._end - self._position
        return self._take(left if size is None or size < 0 else min(size, left))

    def read1(self, size: int = -1) -> bytes:
        return self.read(size)

    def readinto(self, buffer: Any) -> int:
        room = memoryview(buffer).cast("B")
        count = max(0, min(len(room), self._end - self._position))
        room[:count] = memoryview(self._body)[self._position : self._position + count]
        self._position += count
        return count

    def readline(self, size: Optional[int] = -1) -> bytes:
        stop = self._end if size is None or size < 0 else min(self._position + size, self._end)
        found = self._body.find(b"\n", self._position, stop)
        return self._take((stop if found < 0 else found + 1) - self._position)

    def _take(self, size: int) -> bytes:
        start = self._position
        if size <= 0:
            return b""
        self._position = start + size
        return self._body[start : start + size]

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        origin = {os.SEEK_SET: self._start, os.SEEK_CUR: self._position, os.SEEK_END: self._end}[whence]
        if whence == os.SEEK_SET and offset < 0:
            raise ValueError("negative seek position {}".format(offset))
        # Else as io.BytesIO does: zipfile looks for the end of an archive, whose length it does not know.
        self._position = max(self._start, origin + offset)
        return self.tell()

    def tell(self) -> int:
        return self._position - self._start

    def getbuffer(self) -> memoryview:
        """The whole content, without a copy."""
        return memoryview(self._body)[self._start : self._end]

    def getvalue(self) -> bytes:
        """The whole content."""
        return self._body[self._start : self._end]


class UploadedFile:
    """A file of a form. Reads as a binary file does. False where it has no name: a browser sends that for a field
    where no file was chosen."""

    def __init__(self, stream: BodyFile, *, filename: str, name: str, headers: Headers) -> None:
        self.stream = stream
        self.filename = filename
        self.name = name
        self.headers = headers
        """Those of its part of the form."""

    @property
    def content_type(self) -> Optional[str]:
        """None where its part of the form has none."""
        return self.headers.get("Content-Type")

    @property
    def mimetype(self) -> str:
        """The content type without its parameters, in small letters; empty where there is none."""
        return (self.content_type or "").partition(";")[0].strip().lower()

    @property
    def mimetype_params(self) -> Dict[str, str]:
        """The parameters of the content type, such as ``charset``."""
        return read_parameters(self.content_type or "")[1]

    @property
    def content_length(self) -> int:
        return len(self.stream.getbuffer())

    def save(self, dst: Union[str, "os.PathLike[str]", IO[bytes]], buffer_size: int = 0) -> None:
        """Write the content to a path or a binary file. ``buffer_size`` is accepted and changes nothing."""
        if hasattr(dst, "write"):
            dst.write(self.stream.getbuffer())
        else:
            with open(dst, "wb") as file:
                file.write(self.stream.getbuffer())

    def close(self) -> None:
        """Nothing: it is a part of the request's body."""

    def __bool__(self) -> bool:
        return bool(self.filename)

    def __iter__(self) -> Any:
        return iter(self.stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["stream"], name)

    def __repr__(self) -> str:
        return "<UploadedFile {!r} ({!r})>".format(self.filename, self.content_type)
