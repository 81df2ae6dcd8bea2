"""HTTPS: the certificate of a service, and taking over a new one without a restart."""

from __future__ import annotations

import hashlib
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelport_scoring.errors import SettingsInvalid, SettingsUnread
from modelport_scoring.http.handshake import TellingContext
from modelport_scoring.logs.journal import say
from modelport_scoring.logs.moments import in_words
from modelport_scoring.settings.service import TlsSettings

HANDSHAKE_TIMEOUT_S = 10.0
"""Until a client has shaken hands it is no connection that a limit would count."""

SHUTDOWN_TIMEOUT_S = 24 * 3600.0
"""What is left of an answer after the connection's end: for as long as its client reads, which the connection watches.
The loop's own limit, 30 s, would cut it off whatever the client does."""

LAST_PART = 0.1
"""Of a certificate's time: once no more is left, the log says so. Programs that renew it do that before, at a third."""

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
CERTIFICATE_MARK = b"-----BEGIN CERTIFICATE-----"
KEY_MARK = b"PRIVATE KEY-----"

Stamp = tuple[tuple[int, int, int], ...]
"""Of each file: inode, size, and the time of its last change."""


class PasswordAsked(Exception):
    """Out of OpenSSL's callback: the key is encrypted."""


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """One certificate with its key, ready for use."""

    context: ssl.SSLContext
    begins: float
    expires: float
    """The Unix times between which clients accept it."""
    fingerprint: str
    """The first 12 digits of the SHA-256 of the certificate's file: by that, whoever changed it finds it in the log."""

    def warning(self, now: float) -> str:
        """What is wrong with its time, or soon will be; nothing where all is well."""
        if now < self.begins:
            return f"is not valid before {in_words(self.begins)}: clients refuse it"
        if now > self.expires:
            return f"expired at {in_words(self.expires)}: clients refuse it"
        if self.expires - now < LAST_PART * (self.expires - self.begins):
            return f"expires at {in_words(self.expires)}: update the service with a new one before that"
        return ""


class Certificate:
    """The certificate that a service shows: its files as they were when they could last be used.

    Give ``options`` to the loop that serves, and call ``look`` every second. A connection keeps the certificate that it
    was made with.
    """

    def __init__(self, settings: TlsSettings, *, folder: Path, now: Callable[[], float] = time.time) -> None:
        """Raises SettingsInvalid, which names the file and what is wrong with it."""
        self._settings = settings
        self._folder = folder
        self._now = now
        self._taken = self._seen = self._stamp()
        self._current = load(settings, folder=folder)
        self._warned = ""
        self._complaint = ""
        """What the log has told last of files that are not taken over."""
        self._warn_once()
        self.context = self._current.context
        # OpenSSL asks for each connection, whether its client names a server or not. Loading another certificate into a
        # context that is in use would do half of it where the files do not match, and leave the old one beside it where
        # the new one has another kind of key.
        self.context.sni_callback = self._hand_over

    @property
    def options(self) -> dict[str, Any]:
        """For the loop's ``create_server`` and ``connect_accepted_socket``."""
        return {
            "ssl": self.context,
            "ssl_handshake_timeout": HANDSHAKE_TIMEOUT_S,
            "ssl_shutdown_timeout": SHUTDOWN_TIMEOUT_S,
        }

    def look(self) -> None:
        """Take over files that have changed; ones that cannot be used are named in the log, and the old stay in use.

        Files are taken when they look the same twice: two of them are not replaced in one moment. Those that cannot be
        read are tried again at each look: that they can is no change by which it could be told.
        """
        before, self._seen = self._seen, self._stamp()
        if self._seen != self._taken and self._seen == before:
            self._reload()
        self._warn_once()

    def _reload(self) -> None:
        try:
            loaded = load(self._settings, folder=self._folder)
        except SettingsUnread as error:
            self._complain_once(error)
            return
        except SettingsInvalid as error:
            self._taken = self._seen
            self._complain_once(error)
            return
        self._taken, self._current = self._seen, loaded
        self._warned = self._complaint = ""
        say(f"the new certificate is in use; it expires at {in_words(loaded.expires)} ({loaded.fingerprint})")

    def _complain_once(self, error: SettingsInvalid) -> None:
        if str(error) != self._complaint:
            self._complaint = str(error)
            say(f"the new certificate is not taken over, the old one stays in use: {error}")

    def _warn_once(self) -> None:
        warning = self._current.warning(self._now())
        if warning and warning != self._warned:
            say(f"warning: the certificate {warning}")
        self._warned = warning

    def _hand_over(self, connection: ssl.SSLObject, _name: str | None, _asked: ssl.SSLContext) -> None:
        connection.context = self._current.context

    def _stamp(self) -> Stamp:
        return tuple(stamp(self._folder / name) for name in (self._settings.certificate, self._settings.key))


def load(settings: TlsSettings, *, folder: Path) -> Loaded:
    """Read both files. Raises SettingsInvalid, which names the file and what is wrong with it; SettingsUnread where one
    cannot be read."""
    certificate, key = folder / settings.certificate, folder / settings.key
    chain = read_pem(certificate, mark=CERTIFICATE_MARK, what="certificate")
    read_pem(key, mark=KEY_MARK, what="private key")
    begins, expires = validity(chain, name=str(certificate))
    context = TellingContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = VERSIONS[settings.minimum_version]
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    load_chain(context, certificate, key)
    fingerprint = hashlib.sha256(chain).hexdigest()[:12]
    return Loaded(context=context, begins=begins, expires=expires, fingerprint=fingerprint)


def load_chain(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """Have the context use the two files. Raises SettingsInvalid."""
    try:
        context.load_cert_chain(certificate, key, password=refuse_password)
    except PasswordAsked:
        raise SettingsInvalid(
            f"tls: the private key {key} is encrypted, and a service has nobody to ask for the password. "
            "Write it without one: openssl pkey -in <key> -out <new key>"
        ) from None
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise SettingsInvalid(f"tls: the private key {key} does not match the certificate {certificate}") from error
        reason = error.reason or "one of them is damaged"
        raise SettingsInvalid(f"tls: {certificate} and {key} cannot be used: {reason}") from error
    except OSError as error:
        raise SettingsUnread(f"tls: {certificate} and {key} cannot be read: {error.strerror}") from error


def refuse_password() -> str:
    """What OpenSSL calls for an encrypted key; without it, it would ask on the terminal."""
    raise PasswordAsked


def read_pem(path: Path, *, mark: bytes, what: str) -> bytes:
    """The file's content. Raises SettingsUnread, and SettingsInvalid where it does not have that mark of PEM."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SettingsUnread(f"tls: the {what} {path} cannot be read: {error.strerror}") from error
    if mark not in content:
        raise SettingsInvalid(f"tls: {path} holds no {what} in PEM: there is no {mark.decode()!r} in it")
    return content


def validity(pem: bytes, *, name: str) -> tuple[float, float]:
    """The Unix times between which the certificate is valid. Raises SettingsInvalid.

    What reads certificates costs 15 MB, so it is loaded by the services that have one, and by no other one.
    """
    from modelport_scoring.tls.validity import validity_of  # noqa: PLC0415

    return validity_of(pem, name=name)


def stamp(path: Path) -> tuple[int, int, int]:
    """By which a change of the file is told; zeros where it is not there."""
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return (status.st_ino, status.st_size, status.st_mtime_ns)
