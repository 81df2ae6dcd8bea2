"""One index configuration for both installers: what pip is told holds for uv too, and the other way round.

Standard library only, so that it also runs by its path, before anything is installed::

    eval "$(python3 index_settings.py)"

prints ``export`` lines for a POSIX shell. What a variable of the installer itself says is never overruled. The indexes
are taken together or not at all: half of one configuration and half of another would let a package come from an index
that neither of them meant.

Sources of the formats: pip's user guide, "Configuration"; uv's reference, "Environment variables".
"""

from __future__ import annotations

import configparser
import os
import shlex
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

_UV_INDEXES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL")
_PIP_INDEXES = ("index-url", "extra-index-url")


def for_uv(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables to set for uv so that it follows pip's configuration. Empty where there is nothing to add."""
    pip = _pip_settings(environ)
    additions = {
        **_indexes_for_uv(pip, environ),
        "UV_FIND_LINKS": ",".join(_usable(pip.get("find-links", "").split())),
        "UV_INSECURE_HOST": " ".join(pip.get("trusted-host", "").split()),
        "UV_CONSTRAINT": " ".join(_usable(pip.get("constraint", "").split())),
        "UV_HTTP_TIMEOUT": _whole_seconds(pip.get("timeout", pip.get("default-timeout", ""))),
        "UV_HTTP_RETRIES": pip.get("retries", ""),
        "SSL_CERT_FILE": "".join(_usable([pip.get("cert", "")])),
        "SSL_CLIENT_CERT": "".join(_usable([pip.get("client-cert", "")])),
        **{name: pip.get("proxy", "") for name in ("HTTP_PROXY", "HTTPS_PROXY")},
    }
    return {name: value for name, value in additions.items() if value and not _is_set(name, environ)}


def for_pip(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables to set for pip so that it follows what uv is told by its variables."""
    pip = _pip_settings(environ)
    main = environ.get("UV_DEFAULT_INDEX") or environ.get("UV_INDEX_URL", "")
    more = environ.get("UV_INDEX") or environ.get("UV_EXTRA_INDEX_URL", "")
    additions = {
        "find-links": " ".join(_usable(environ.get("UV_FIND_LINKS", "").split(","))),
        "trusted-host": environ.get("UV_INSECURE_HOST", ""),
        "timeout": environ.get("UV_HTTP_TIMEOUT", ""),
        "cert": environ.get("SSL_CERT_FILE", ""),
        "client-cert": environ.get("SSL_CLIENT_CERT", ""),
    }
    if not any(key in pip for key in _PIP_INDEXES):
        additions |= {"index-url": _without_name(main), "extra-index-url": " ".join(map(_without_name, more.split()))}
    if "default-timeout" in pip:
        del additions["timeout"]
    return {_pip_variable(key): value for key, value in additions.items() if value and key not in pip}


def uv_options(environ: Mapping[str, str]) -> list[str]:
    """What pip's configuration asks for and uv knows only as an option of its command line."""
    wanted = _pip_settings(environ).get("no-index", "").lower() in ("1", "true", "yes", "on")
    return ["--no-index"] if wanted and not _uv_has_indexes(environ) else []


def uv_configuration_files(environ: Mapping[str, str]) -> list[Path]:
    """The configuration files that uv reads for this user."""
    if environ.get("UV_NO_CONFIG"):
        return []
    if environ.get("UV_CONFIG_FILE"):
        return _existing([Path(environ["UV_CONFIG_FILE"])])
    folders = [_user_configuration(environ), *_system_configuration(environ), Path("/etc")]
    return _existing([folder / "uv" / "uv.toml" for folder in folders])


def _indexes_for_uv(pip: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    if _uv_has_indexes(environ):
        return {}
    main = "".join(_usable([pip.get("index-url", "")]))
    more = " ".join(_usable(pip.get("extra-index-url", "").split()))
    # pip looks for the best version in all indexes; uv, unless told so, stops at the first that has the package.
    strategy = "unsafe-best-match" if more else ""
    return {"UV_DEFAULT_INDEX": main, "UV_INDEX": more, "UV_INDEX_STRATEGY": strategy}


def _uv_has_indexes(environ: Mapping[str, str]) -> bool:
    return any(environ.get(name) for name in _UV_INDEXES) or any(map(_names_indexes, uv_configuration_files(environ)))


def _names_indexes(file: Path) -> bool:
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False  # uv itself reports the bad file, and better
    return any(key in table for table in (content, content.get("pip", {})) for key in ("index", *_PIP_INDEXES))


def _pip_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """What ``pip install`` is told: by its files, least important first, then by its variables."""
    sections: dict[str, dict[str, str]] = {"global": {}, "install": {}}
    for file in _pip_files(environ):
        for section, values in _read_sections(file):
            sections.get(section, {}).update(values)
    variables = {
        name.removeprefix("PIP_").lower().replace("_", "-"): value
        for name, value in environ.items()
        if name.startswith("PIP_") and value
    }
    return {**sections["global"], **sections["install"], **variables}


def _pip_files(environ: Mapping[str, str]) -> list[Path]:
    chosen = environ.get("PIP_CONFIG_FILE", "")
    if chosen == os.devnull:
        return []
    files = [folder / "pip" / "pip.conf" for folder in reversed(_system_configuration(environ))]
    files.append(Path("/etc/pip.conf"))
    if not (chosen and Path(chosen).exists()):
        home = Path(environ.get("HOME") or Path.home())
        files += [home / ".pip" / "pip.conf", _user_configuration(environ) / "pip" / "pip.conf"]
    files.append(Path(environ.get("VIRTUAL_ENV") or sys.prefix) / "pip.conf")
    return _existing([*files, *([Path(chosen)] if chosen else [])])


def _read_sections(file: Path) -> Iterator[tuple[str, dict[str, str]]]:
    parser = configparser.RawConfigParser()
    try:
        parser.read(file, encoding="utf-8")
    except (OSError, configparser.Error, UnicodeDecodeError) as error:
        print(f"pip's configuration file {file} cannot be read and is left out: {error}", file=sys.stderr)  # noqa: T201
        return
    for section in parser.sections():
        yield section, {key.replace("_", "-"): value.strip() for key, value in parser.items(section) if value.strip()}


def _user_configuration(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME") or Path.home()) / ".config")


def _system_configuration(environ: Mapping[str, str]) -> list[Path]:
    return [Path(folder) for folder in (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep) if folder]


def _existing(files: Iterable[Path]) -> list[Path]:
    return [file for file in files if file.is_file()]


def _usable(locations: Iterable[str]) -> list[str]:
    """Without the folders and files that are not there: pip passes over them, uv gives up."""
    return [location for location in locations if location and _is_there(location)]


def _is_there(location: str) -> bool:
    parts = urlsplit(location)
    if parts.scheme == "file":
        return Path(unquote(parts.path)).exists()
    return bool(parts.scheme) or Path(location).expanduser().exists()


def _is_set(name: str, environ: Mapping[str, str]) -> bool:
    return bool(environ.get(name) or (name.endswith("_PROXY") and environ.get(name.lower())))


def _whole_seconds(text: str) -> str:
    return text.split(".")[0]


def _without_name(index: str) -> str:
    """uv's ``name=url`` as the URL alone."""
    name, separator, url = index.partition("=")
    return url if separator and ":" not in name else index


def _pip_variable(key: str) -> str:
    return "PIP_" + key.upper().replace("-", "_")


def main() -> None:
    """Print the export lines for both installers."""
    for name, value in sorted({**for_uv(os.environ), **for_pip(os.environ)}.items()):
        print(f"export {name}={shlex.quote(value)}")  # noqa: T201


if __name__ == "__main__":
    main()
