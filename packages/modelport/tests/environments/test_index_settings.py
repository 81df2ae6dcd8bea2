from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from modelport.environments import index_settings
from modelport.environments.index_settings import for_pip, for_uv, uv_options

A, B = "https://a.example/simple", "https://b.example/simple"


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """The variables of a machine on which nothing is set; its pip.conf is ``pip.conf`` in the test's folder."""
    return {
        "HOME": str(tmp_path / "home"),
        "XDG_CONFIG_DIRS": str(tmp_path / "xdg"),
        "VIRTUAL_ENV": str(tmp_path / "venv"),
        "PIP_CONFIG_FILE": str(tmp_path / "pip.conf"),
    }


@pytest.fixture(autouse=True)
def _no_file_of_the_machine(machine: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """/etc/pip.conf cannot be moved by a variable: pass over it."""
    real = index_settings._existing
    monkeypatch.setattr(
        index_settings, "_existing", lambda files: [file for file in real(files) if not str(file).startswith("/etc")]
    )


def _conf(machine: dict[str, str], text: str) -> None:
    Path(machine["PIP_CONFIG_FILE"]).write_text(text, encoding="utf-8")


def test_where_nothing_is_set_nothing_is_added(machine: dict[str, str]) -> None:
    assert (for_uv(machine), for_pip(machine), uv_options(machine)) == ({}, {}, [])


def test_a_pip_configuration_holds_for_uv(machine: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    _conf(
        machine,
        f"[global]\nindex-url = {A}\nextra-index-url =\n  {B}\n  https://c.example/simple\ntrusted-host = a.example\n"
        f"cert = {tmp_path}/ca.pem\n"
        f"proxy = http://proxy.example:3128\ntimeout = 12.5\n[install]\nfind-links = {tmp_path}\n",
    )
    assert for_uv(machine) == {
        "UV_DEFAULT_INDEX": A,
        "UV_INDEX": f"{B} https://c.example/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_INSECURE_HOST": "a.example",
        "UV_FIND_LINKS": str(tmp_path),
        "UV_HTTP_TIMEOUT": "12",
        "SSL_CERT_FILE": f"{tmp_path}/ca.pem",
        "HTTP_PROXY": "http://proxy.example:3128",
        "HTTPS_PROXY": "http://proxy.example:3128",
    }


def test_variables_count_more_than_files_and_install_more_than_global(machine: dict[str, str]) -> None:
    _conf(machine, f"[install]\nindex-url = {B}\n[global]\nindex-url = {A}\nretries = 3\n")
    assert for_uv(machine)["UV_DEFAULT_INDEX"] == B
    assert for_uv({**machine, "PIP_INDEX_URL": A, "PIP_RETRIES": "7"}) == {
        "UV_DEFAULT_INDEX": A,
        "UV_HTTP_RETRIES": "7",
    }


def test_the_user_s_file_counts_more_than_the_system_s(machine: dict[str, str], tmp_path: Path) -> None:
    for folder, index in (("xdg/pip", A), ("home/.config/pip", B)):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "pip.conf").write_text(f"[global]\nindex-url = {index}\n", encoding="utf-8")
    assert for_uv(machine) == {"UV_DEFAULT_INDEX": B}
    assert for_uv({**machine, "PIP_CONFIG_FILE": os.devnull}) == {}


@pytest.mark.parametrize("variable", ["UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL"])
def test_indexes_of_uv_s_own_keep_pip_s_out(variable: str, machine: dict[str, str]) -> None:
    _conf(machine, f"[global]\nindex-url = {A}\nextra-index-url = {B}\ntrusted-host = a.example\n")
    assert for_uv({**machine, variable: "https://mine.example/simple"}) == {"UV_INSECURE_HOST": "a.example"}


def test_indexes_in_uv_s_configuration_file_keep_pip_s_out(machine: dict[str, str], tmp_path: Path) -> None:
    _conf(machine, f"[global]\nindex-url = {A}\n")
    (tmp_path / "home/.config/uv").mkdir(parents=True)
    file = tmp_path / "home/.config/uv/uv.toml"
    file.write_text('[[index]]\nurl = "https://mine.example/simple"\n', encoding="utf-8")
    assert for_uv(machine) == {}
    file.write_text('link-mode = "copy"\n', encoding="utf-8")
    assert for_uv(machine) == {"UV_DEFAULT_INDEX": A}


def test_places_that_are_not_there_are_left_out(machine: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    there = (tmp_path / "there").as_uri()
    _conf(
        machine,
        f"[global]\nextra-index-url = file:///no/where {there}\n"
        f"find-links = /no/where {tmp_path}/there\ncert = /no/ca\n",
    )
    found = for_uv(machine)
    assert (found["UV_INDEX"], found["UV_FIND_LINKS"]) == (there, f"{tmp_path}/there")
    assert "SSL_CERT_FILE" not in found


def test_no_index_is_an_option_for_uv(machine: dict[str, str]) -> None:
    assert uv_options({**machine, "PIP_NO_INDEX": "1"}) == ["--no-index"]
    assert uv_options({**machine, "PIP_NO_INDEX": "0"}) == []


def test_what_uv_is_told_holds_for_pip(machine: dict[str, str], tmp_path: Path) -> None:
    told = {
        "UV_DEFAULT_INDEX": f"main={A}",
        "UV_INDEX": f"more={B} https://c.example/s?x=1",
        "UV_FIND_LINKS": f"{tmp_path},/no/where",
        "UV_INSECURE_HOST": "a.example",
        "UV_HTTP_TIMEOUT": "9",
    }
    assert for_pip({**machine, **told}) == {
        "PIP_INDEX_URL": A,
        "PIP_EXTRA_INDEX_URL": f"{B} https://c.example/s?x=1",
        "PIP_FIND_LINKS": str(tmp_path),
        "PIP_TRUSTED_HOST": "a.example",
        "PIP_TIMEOUT": "9",
    }


def test_what_pip_is_told_already_is_left_alone(machine: dict[str, str]) -> None:
    assert for_pip({**machine, "UV_DEFAULT_INDEX": A, "UV_INDEX": B, "PIP_INDEX_URL": "https://pip.example"}) == {}


def test_a_proxy_in_small_letters_is_a_proxy(machine: dict[str, str]) -> None:
    asked = {**machine, "PIP_PROXY": "http://p.example", "https_proxy": "http://q.example"}
    assert for_uv(asked) == {"HTTP_PROXY": "http://p.example"}


def test_a_damaged_file_is_named_and_passed_over(machine: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    _conf(machine, "index-url without a section\n")
    assert for_uv(machine) == {}
    assert machine["PIP_CONFIG_FILE"] in capsys.readouterr().err


def test_it_runs_by_its_path_and_prints_what_a_shell_understands(machine: dict[str, str]) -> None:
    script = Path(index_settings.__file__)
    environ = {**machine, "PATH": os.environ["PATH"], "PIP_INDEX_URL": "https://a.example/si mple'"}
    lines = subprocess.run(
        [sys.executable, "-I", script], env=environ, capture_output=True, text=True, check=True
    ).stdout
    shell = f'{lines}\nprintf %s "$UV_DEFAULT_INDEX"'
    assert subprocess.run(["sh", "-c", shell], capture_output=True, text=True).stdout == environ["PIP_INDEX_URL"]
