"""A Set-Cookie header (RFC 6265, 4.1), with what Werkzeug makes of the arguments."""

import re
import time
from datetime import datetime, timedelta
from typing import Any, List, Optional, Tuple, Union
from urllib.parse import quote

from azureml.contrib.services._header_values import http_date

NEEDS_QUOTES = re.compile(r"[^\w!#$%&'()*+./:<=>?@^`{|}~\[\]-]", re.ASCII)
NEEDS_ESCAPE = re.compile(rb'[\x00-\x1f",;\\\x7f-\xff]')
SELF_ESCAPED = (b'"', b"\\")

SAFE_IN_PATH = "%!$&'()*+,/:=@"
SAME_SITE = ("Strict", "Lax", "None")


def set_cookie_line(
    key: str,
    value: str,
    *,
    max_age: Union[timedelta, float, None],
    expires: Union[datetime, float, str, None],
    path: Optional[str],
    domain: Optional[str],
    secure: bool,
    httponly: bool,
    samesite: Optional[str],
    partitioned: bool,
) -> str:
    """The header's value. ``max_age`` in seconds; an ``expires`` that is not given follows from it, for clients that
    know no Max-Age. ``partitioned`` cookies are ``secure`` ones. Raises ValueError for a ``samesite`` that is none."""
    age_s = max_age.total_seconds() if isinstance(max_age, timedelta) else max_age
    if age_s is not None and expires is None:
        expires = time.time() + int(age_s)
    attributes: List[Tuple[str, Any]] = [
        ("Domain", host_in(domain) if domain else None),
        ("Expires", None if expires is None else http_date(expires)),
        ("Max-Age", None if age_s is None else int(age_s)),
        ("Secure", bool(secure or partitioned)),
        ("HttpOnly", bool(httponly)),
        ("Path", None if path is None else quote(path, safe=SAFE_IN_PATH)),
        ("SameSite", None if samesite is None else checked_same_site(samesite)),
        ("Partitioned", bool(partitioned)),
    ]
    line = "{}={}".format(key, cookie_value(value))
    for name, given in attributes:
        if given is True:
            line += "; " + name
        elif given is not None and given is not False:
            line += "; {}={}".format(name, given)
    return line


def host_in(domain: str) -> str:
    """Without a port and a dot in front, neither of which a cookie's domain has; names of other letters as DNS has
    them."""
    return domain.partition(":")[0].lstrip(".").encode("idna").decode("ascii")


def checked_same_site(name: str) -> str:
    title = name.title()
    if title not in SAME_SITE:
        raise ValueError("The samesite of a cookie is 'Strict', 'Lax' or 'None', not {!r}.".format(name))
    return title


def cookie_value(value: str) -> str:
    """In quotes, with escapes, where it holds what a cookie's value may not."""
    if NEEDS_QUOTES.search(value) is None:
        return value
    return '"{}"'.format(NEEDS_ESCAPE.sub(lambda found: escaped(found.group()), value.encode("utf-8")).decode("ascii"))


def escaped(byte: bytes) -> bytes:
    return b"\\" + byte if byte in SELF_ESCAPED else b"\\%03o" % ord(byte)
