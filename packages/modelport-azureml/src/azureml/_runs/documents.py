"""A JSON file that several processes change at once: each change is whole, and none is lost."""

import contextlib
import fcntl
import json
import os
import threading
from typing import Any, Dict, Iterator


class JsonDocument:
    """One JSON object in a file. Readers need no lock: the file is replaced, never written in place."""

    def __init__(self, path: str) -> None:
        self.path = path

    def exists(self) -> bool:
        return os.path.isfile(self.path)

    def read(self) -> Dict[str, Any]:
        """The object. Raises FileNotFoundError."""
        with open(self.path, encoding="utf-8") as file:
            return json.load(file)  # type: ignore[no-any-return]

    @contextlib.contextmanager
    def change(self) -> Iterator[Dict[str, Any]]:
        """The object, to be changed in place; written when the block ends well. An absent file is an empty object."""
        with self._locked():
            content = self.read() if self.exists() else {}
            yield content
            self._replace(content)

    def create(self, content: Dict[str, Any]) -> None:
        """Write the object where there is none. Raises FileExistsError."""
        with self._locked():
            if self.exists():
                raise FileExistsError(self.path)
            self._replace(content)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with open(self.path + ".lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _replace(self, content: Dict[str, Any]) -> None:
        aside = "{}.{}.{}".format(self.path, os.getpid(), threading.get_ident())
        try:
            with open(aside, "w", encoding="utf-8") as file:
                json.dump(content, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            os.replace(aside, self.path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(aside)
            raise
