"""The secrets of a workspace: a file in its folder, encrypted with a key beside it (azureml-v1 reference, 2.12).

Both are their owner's alone (mode 0600). The key beside the file keeps secrets out of what is copied, shown or searched
by accident; who can read both files as that user can read the secrets.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from modelport.domain.errors import StoreException, UserErrorException
from modelport.usecases.context import Context

_FOLDER = "keyvault"
_SECRETS = "secrets.bin"
_KEY = "secrets.key"


def get_secrets(context: Context, names: Sequence[str]) -> dict[str, str | None]:
    """The secrets by name; None for those that there are not. Raises StoreException where they cannot be read."""
    with _locked(context) as folder:
        kept = _read(folder)
    return {name: kept.get(name) for name in names}


def list_secrets(context: Context) -> list[str]:
    """The names, sorted."""
    with _locked(context) as folder:
        return sorted(_read(folder))


def set_secrets(context: Context, secrets: Mapping[str, str]) -> None:
    """Keep them, in place of those of the same names. Raises UserErrorException for what is no text."""
    for name, value in secrets.items():
        if not isinstance(name, str) or not name or not isinstance(value, str):
            raise UserErrorException("A secret needs a name and a text.", hint='keyvault.set_secret("name", "value")')
    with _locked(context) as folder:
        _write(folder, {**_read(folder), **secrets})


def delete_secrets(context: Context, names: Sequence[str]) -> None:
    """Forget them; those that there are not are passed over."""
    with _locked(context) as folder:
        _write(folder, {name: value for name, value in _read(folder).items() if name not in names})


@contextlib.contextmanager
def _locked(context: Context) -> Iterator[Path]:
    folder = context.folder / _FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


def _read(folder: Path) -> dict[str, str]:
    file = folder / _SECRETS
    if not file.exists():
        return {}
    try:
        content = json.loads(Fernet((folder / _KEY).read_bytes()).decrypt(file.read_bytes()))
    except (OSError, ValueError, InvalidToken) as error:
        raise StoreException(
            f"The secrets in {file} cannot be read: {error or 'they were not encrypted with the key beside them'}.",
            hint=f"Restore {_SECRETS} and {_KEY} together, or remove both and set the secrets again.",
        ) from error
    return {str(name): str(value) for name, value in content.items()}


def _write(folder: Path, secrets: Mapping[str, str]) -> None:
    key = folder / _KEY
    if not key.exists():
        _replace(key, Fernet.generate_key())
    _replace(folder / _SECRETS, Fernet(key.read_bytes()).encrypt(json.dumps(dict(secrets)).encode()))


def _replace(path: Path, content: bytes) -> None:
    aside = path.with_name(path.name + ".new")
    aside.unlink(missing_ok=True)
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
