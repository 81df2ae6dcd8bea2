"""Real virtual environments by uv. Where failure is the point, packages come from a folder of the test's own."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from modelport.domain.environments import EnvironmentDefinition, EnvironmentKind, Interpreter
from modelport.domain.errors import EnvironmentException, ResolutionFailed
from modelport.environments.venv import VenvEnvironments

from .local_wheels import RecordedProgress, definition, from_wheels, make_wheel


def _output(interpreter: Interpreter, code: str) -> str:
    ended = subprocess.run([*interpreter.command, "-I", "-c", code], capture_output=True, text=True, check=True)
    return ended.stdout.strip()


@pytest.mark.parametrize(("asked", "minor"), [("python=3.6.2", "3.6"), ("python=3.8", "3.8")])
def test_packages_of_the_index_for_another_python(
    asked: str, minor: str, venvs: VenvEnvironments, progress: RecordedProgress
) -> None:
    made = definition(["# the idiom of v1", "six", "azureml-defaults>=1.0.45"], packages=[asked, "pip"])
    try:
        lock = venvs.resolve(made, progress=progress)
    except EnvironmentException as error:
        if "Found: " in error.message and f" {minor}." not in error.message.partition("Found:")[2]:
            pytest.skip(error.message)
        raise
    interpreter = venvs.materialise(lock, progress=progress)

    assert lock.kind is EnvironmentKind.VENV
    setuptools, six = lock.text.splitlines()
    assert six.startswith("six==") and setuptools.startswith("setuptools==")
    assert lock.python_version.startswith(f"{minor}.")
    assert ("python=3.6.2 was asked for; Python 3.6" in " ".join(lock.notes)) is (minor == "3.6")
    assert any(note.startswith("azureml-defaults>=1.0.45 is not installed") for note in lock.notes)
    found = _output(interpreter, "import sys,six;print('%d.%d'%sys.version_info[:2],'six=='+six.__version__)")
    assert found.split() == [minor, six]
    assert (
        _output(interpreter, "import pkg_resources;print(pkg_resources.get_distribution('six').as_requirement())")
        == six
    )
    assert list(Path(interpreter.command[0]).parent.parent.glob("lib/*/site-packages/__pycache__/six.*.pyc"))


@pytest.mark.parametrize(("asked", "found"), [([], "70.0.0"), (["setuptools"], "82.0.0"), (["mp_new"], "82.0.0")])
def test_setuptools_has_pkg_resources_unless_the_list_says_otherwise(
    asked: list[str], found: str, tmp_path: Path, venvs: VenvEnvironments, progress: RecordedProgress
) -> None:
    for version in ("70.0.0", "82.0.0"):
        make_wheel(tmp_path, "setuptools", version)
    make_wheel(tmp_path, "mp_old", "1.0", requires=["setuptools"])
    make_wheel(tmp_path, "mp_new", "1.0", requires=["setuptools>=82"])
    lock = venvs.resolve(from_wheels(tmp_path, "mp_old", *asked), progress=progress)
    assert f"setuptools=={found}" in lock.text.splitlines()


def test_a_folder_that_is_not_ascii_where_the_locale_is(
    tmp_path: Path, wheels: Path, progress: RecordedProgress, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LC_ALL", "LANG"):
        monkeypatch.setenv(name, "POSIX")
    made = definition(["--no-index", f"--find-links {wheels}", "mp_one"], packages=["python=3.6"])
    venvs = VenvEnvironments(tmp_path / "hömé ☃")
    try:
        lock = venvs.resolve(made, progress=progress)
    except EnvironmentException as error:
        if "Found: " in error.message:
            pytest.skip(error.message)
        raise
    assert _output(venvs.materialise(lock, progress=progress), "import mp_one;print(mp_one.__name__)") == "mp_one"


def test_a_resolution_is_kept_and_asks_nobody_again(
    venvs: VenvEnvironments, progress: RecordedProgress, wheels: Path
) -> None:
    made = from_wheels(wheels, "mp_two")
    first = venvs.resolve(made, progress=progress)
    shutil.rmtree(wheels)
    started = sum(os.times()[:4])
    again = venvs.resolve(made, progress=progress)
    worked_s = sum(os.times()[:4]) - started  # by a child, too
    assert again == first
    assert "mp-one==1.0\nmp-two==1.0\n" in first.text.replace("_", "-")
    assert len(progress.steps) == 1
    assert worked_s < 0.1


def test_another_process_shares_what_was_resolved(
    tmp_path: Path, venvs: VenvEnvironments, progress: RecordedProgress, wheels: Path
) -> None:
    first = venvs.resolve(from_wheels(wheels, "mp_one"), progress=progress)
    make_wheel(wheels, "mp_one", "3.0")
    fresh = VenvEnvironments(tmp_path / "home")
    assert fresh.resolve(from_wheels(wheels, "mp_one"), progress=progress) == first
    fresh.forget(from_wheels(wheels, "mp_one"))
    assert "==3.0" in fresh.resolve(from_wheels(wheels, "mp_one"), progress=progress).text


def test_other_index_settings_are_another_question(
    venvs: VenvEnvironments, progress: RecordedProgress, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = definition(["mp_one", "--no-index"])
    monkeypatch.setenv("UV_FIND_LINKS", str(wheels))
    assert "==2.0" in venvs.resolve(made, progress=progress).text
    make_wheel(tmp_path / "others", "mp_one", "5.0")
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path / "others"))
    assert "==5.0" in venvs.resolve(made, progress=progress).text


def test_the_user_s_options_are_in_the_lock_and_the_machine_s_are_not(
    venvs: VenvEnvironments, progress: RecordedProgress, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_EXTRA_INDEX_URL", "http://someone:secret@127.0.0.1:9/simple")
    lock = venvs.resolve(from_wheels(wheels, "mp_one"), progress=progress)
    assert f"--find-links {wheels}" in lock.text
    assert "127.0.0.1" not in lock.text
    kept = [file.read_text(encoding="utf-8") for file in wheels.parent.glob("home/resolutions/*")]
    assert kept and not any("secret" in text for text in kept)


def test_included_files_constraints_and_local_paths_count(
    venvs: VenvEnvironments, progress: RecordedProgress, wheels: Path
) -> None:
    project = wheels.parent
    (project / "base.txt").write_text("mp_one\nazureml-core\n-c pins.txt\n", encoding="utf-8")
    (project / "pins.txt").write_text("mp_one<2\n", encoding="utf-8")
    local = make_wheel(project / "local", "mp_local", "0.1")
    source = project / "requirements.txt"
    made = from_wheels(wheels, "-r base.txt", "./local/" + local.name, source=source)
    lock = venvs.resolve(made, progress=progress)
    interpreter = venvs.materialise(lock, progress=progress)
    assert _output(interpreter, "import mp_one,mp_local;print(mp_one.VERSION, mp_local.VERSION)") == "1.0 0.1"
    assert [note.split()[0] for note in lock.notes] == ["azureml-core"]


def test_a_local_wheel_with_other_content_is_another_environment(
    venvs: VenvEnvironments, progress: RecordedProgress, tmp_path: Path
) -> None:
    def build(value: int) -> Interpreter:
        file = make_wheel(tmp_path / "local", "mp_local", "0.1", value=value)
        made = definition(["--no-index", f"./local/{file.name}"], source=tmp_path / "requirements.txt")
        return venvs.materialise(venvs.resolve(made, progress=progress), progress=progress)

    first, second = build(1), build(22)
    assert first.lock.digest != second.lock.digest
    assert [_output(made, "import mp_local;print(mp_local.VALUE)") for made in (first, second)] == ["1", "22"]


def test_a_hash_that_the_user_wrote_is_held_against_the_file(
    venvs: VenvEnvironments, progress: RecordedProgress, wheels: Path
) -> None:
    made = from_wheels(wheels, f"mp_one==1.0 --hash=sha256:{'1' * 64}")
    lock = venvs.resolve(made, progress=progress)
    with pytest.raises(EnvironmentException, match="not the one that was asked for"):
        venvs.materialise(lock, progress=progress)


def test_hashes_below_their_requirement_are_held_against_the_file(
    venvs: VenvEnvironments, progress: RecordedProgress, wheels: Path
) -> None:
    as_pip_compile_writes = ["mp_one==1.0 \\", f"    --hash=sha256:{'1' * 64} \\", f"    --hash=sha256:{'2' * 64}"]
    lock = venvs.resolve(from_wheels(wheels, *as_pip_compile_writes, "# a comment \\", "mp_two"), progress=progress)
    assert lock.text.count("--hash") == 2
    assert "mp-two==1.0\n" in lock.text
    with pytest.raises(EnvironmentException, match="not the one that was asked for"):
        venvs.materialise(lock, progress=progress)


def _yaml(folder: Path, *pip: str) -> Path:
    file = folder / "env.yml"
    entries = "".join(f"    - {entry}\n" for entry in pip)
    file.write_text(f"dependencies:\n  - python\n  - pip:\n{entries}", encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("asked", "words", "change"),
    [
        (["mp_one==9"], "there is no version of mp-one==9", "to a version that exists"),
        (["mp_none"], "mp-none was not found", "Check the spelling of 'mp_none'"),
        (["pandsa==1.0"], "pandsa was not found", "Did you mean pandas?"),
        (["sklearn"], "sklearn was not found", "Did you mean scikit-learn?"),
        (["mp_one>=2", "mp_two"], "mp-two", "These exclude each other"),
        (["mp_one==="], "Unexpected end of version specifier", "Correct 'mp_one==='"),
        (["!!bad"], "Unexpected '!'", "Correct '!!bad'"),
    ],
)
def test_a_failed_resolution_says_who_where_and_what_to_change(
    asked: list[str], words: str, change: str, venvs: VenvEnvironments, progress: RecordedProgress, wheels: Path
) -> None:
    entries = ["--no-index", f"--find-links {wheels}", *(f"'{entry}'" if "!" in entry else entry for entry in asked)]
    source = _yaml(wheels.parent, *entries)
    with pytest.raises(ResolutionFailed) as caught:
        venvs.resolve(from_wheels(wheels, *asked, source=source), progress=progress)
    assert words in caught.value.message
    for number, entry in enumerate(asked, start=6):
        assert f"{source}:{number}: {entry}" in caught.value.message
    assert change in caught.value.hint
    assert f"{source}:6" in caught.value.hint


def test_a_package_for_another_python_says_so(
    venvs: VenvEnvironments, progress: RecordedProgress, tmp_path: Path
) -> None:
    make_wheel(tmp_path / "wheels", "mp_new", "1.0", python=">=3.99")
    with pytest.raises(ResolutionFailed) as caught:
        venvs.resolve(from_wheels(tmp_path / "wheels", "mp_new"), progress=progress)
    assert "Ask for another Python than" in caught.value.hint


def test_an_index_that_does_not_answer_is_named(
    venvs: VenvEnvironments, progress: RecordedProgress, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://someone:secret@127.0.0.1:{closed_port}/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    with pytest.raises(ResolutionFailed) as caught:
        venvs.resolve(definition(["mp_nowhere"]), progress=progress)
    assert f"The package index at http://127.0.0.1:{closed_port} cannot be reached" in caught.value.message
    assert "secret" not in str(caught.value)
    for way in ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "HTTPS_PROXY", "SSL_CERT_FILE"):
        assert way in caught.value.hint


def test_a_password_in_a_line_of_the_pip_list_is_in_no_message(
    venvs: VenvEnvironments, progress: RecordedProgress, tmp_path: Path
) -> None:
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        address = f"127.0.0.1:{server.server_port}/mp_private-1.0-py3-none-any.whl"
        try:
            with pytest.raises(ResolutionFailed) as caught:
                made = definition(["--no-index", f"mp_private @ http://someone:sec@ret@{address}"])
                venvs.resolve(made, progress=progress)
        finally:
            server.shutdown()
    assert f"mp_private @ http://{address}" in caught.value.message
    said = f"{caught.value} {caught.value.hint} {progress.steps}"
    assert "404" in said and "ret@" not in said and "someone" not in said


def test_a_python_that_is_not_here_lists_those_that_are(venvs: VenvEnvironments, progress: RecordedProgress) -> None:
    with pytest.raises(EnvironmentException) as caught:
        venvs.resolve(definition(["six"], packages=["python=3.99"]), progress=progress)
    assert "python=3.99 was asked for" in caught.value.message
    assert "Found: 3." in caught.value.message
    assert "modelport environment install-python 3.99" in caught.value.hint


def test_a_python_that_no_worker_runs_on_is_refused(venvs: VenvEnvironments, progress: RecordedProgress) -> None:
    with pytest.raises(EnvironmentException, match=r"run on Python 3\.6 and newer"):
        venvs.resolve(definition(["six"], packages=["python=2.7"]), progress=progress)


def test_nothing_but_provided_packages_is_an_empty_environment(
    venvs: VenvEnvironments, progress: RecordedProgress
) -> None:
    lock = venvs.resolve(definition(["azureml-defaults"], packages=["python"]), progress=progress)
    interpreter = venvs.materialise(lock, progress=progress)
    assert lock.text == ""
    assert _output(interpreter, "import importlib.util as u;print(u.find_spec('yaml'))") == "None"


def test_packages_of_azure_ml_are_never_fetched(
    venvs: VenvEnvironments, progress: RecordedProgress, wheels: Path
) -> None:
    make_wheel(wheels, "azureml_core", "1.36.0")
    make_wheel(wheels, "azureml_train_automl", "1.36.0")
    make_wheel(wheels, "mp_plugin", "1.0", requires=["azureml-core>=1.0", "mp_one"])
    asked = ("azureml-sdk[notebooks]~=1.0.57", "azureml_train_automl==1.36.0", "mp_plugin")
    lock = venvs.resolve(from_wheels(wheels, *asked), progress=progress)
    pins = [line.partition("==")[0].replace("_", "-") for line in lock.text.splitlines() if "==" in line]
    assert pins == ["mp-one", "mp-plugin"]
    brought, dropped = lock.notes
    assert "azureml-sdk[notebooks]~=1.0.57 is not installed: Modelport's worker brings" in brought
    assert "azureml_train_automl==1.36.0" in dropped and "imports azureml.train.automl" in dropped


def test_pins_of_the_old_server_that_cannot_be_had_are_left_out(
    venvs: VenvEnvironments, progress: RecordedProgress, wheels: Path
) -> None:
    make_wheel(wheels, "gunicorn", "19.9.0")
    make_wheel(wheels, "flask", "1.0.3", requires=["markupsafe"])
    made = from_wheels(wheels, "mp_one", "pynacl==1.2.1", "flask==1.0.3", "gunicorn==19.9.0")
    lock = venvs.resolve(made, progress=progress)
    assert [line for line in lock.text.replace("_", "-").splitlines() if "==" in line] == [
        "gunicorn==19.9.0",
        "mp-one==2.0",
    ]
    assert [note.partition(":")[0] for note in lock.notes] == [
        "pynacl==1.2.1 is left out",
        "flask==1.0.3 is left out",
    ]
    assert venvs.resolve(made, progress=progress) == lock
    with pytest.raises(ResolutionFailed, match="mp-none"):
        venvs.resolve(from_wheels(wheels, "mp_none==1", "pynacl==1.2.1"), progress=progress)
    with pytest.raises(ResolutionFailed, match="Unexpected"):
        venvs.resolve(from_wheels(wheels, "flask==="), progress=progress)


def test_a_package_whose_metadata_no_resolver_reads(
    venvs: VenvEnvironments, progress: RecordedProgress, wheels: Path
) -> None:
    make_wheel(wheels, "mp_old", "0.24.2", requires=["mp_one (>=2011k,<2)", "mp_two; python_version>'2'"])
    made = from_wheels(wheels, "mp_old==0.24.2")
    lock = venvs.resolve(made, progress=progress)
    pins = [line for line in lock.text.replace("_", "-").splitlines() if "==" in line]
    assert pins == ["mp-old==0.24.2", "mp-one==1.0", "mp-two==1.0"]
    (note,) = lock.notes
    assert "mp-old 0.24.2 describes itself" in note and "mp_one>=2011k is passed over" in note
    interpreter = venvs.materialise(lock, progress=progress)
    assert _output(interpreter, "import mp_old,mp_one;print(mp_old.VERSION, mp_one.VERSION)") == "0.24.2 1.0"
    make_wheel(wheels, "mp_worse", "1.0", requires=["mp_none (>=2011k)"])
    with pytest.raises(ResolutionFailed, match="mp-none"):
        venvs.resolve(from_wheels(wheels, "mp_worse"), progress=progress)


def test_what_old_wheels_of_scikit_learn_do_not_say(
    venvs: VenvEnvironments, progress: RecordedProgress, wheels: Path
) -> None:
    make_wheel(wheels, "scikit_learn", "0.19.1")
    make_wheel(wheels, "scikit_learn", "0.20.0", requires=["numpy"])
    make_wheel(wheels, "numpy", "1.19.5")
    make_wheel(wheels, "scipy", "1.5.4", requires=["numpy"])

    def pins(*entries: str) -> tuple[list[str], tuple[str, ...]]:
        lock = venvs.resolve(from_wheels(wheels, *entries), progress=progress)
        return [line.split(";")[0].strip() for line in lock.text.splitlines() if "==" in line], lock.notes

    found, notes = pins("scikit-learn==0.19.1")
    assert found == ["numpy==1.19.5", "scikit-learn==0.19.1", "scipy==1.5.4"]
    assert notes == ("scikit-learn 0.19.1 does not say that it needs numpy and scipy: they are taken.",)
    assert pins("scikit-learn==0.19.1", "scipy")[1] == ()
    assert pins("scikit-learn==0.20.0") == (["numpy==1.19.5", "scikit-learn==0.20.0"], ())


def test_a_pinned_pip_is_noted(venvs: VenvEnvironments, progress: RecordedProgress) -> None:
    lock = venvs.resolve(definition(packages=["python", "pip=20.2"]), progress=progress)
    assert [note.split()[0] for note in lock.notes] == ["pip=20.2"]


def test_equal_definitions_of_other_names_share_an_environment(
    venvs: VenvEnvironments, progress: RecordedProgress, wheels: Path
) -> None:
    made = from_wheels(wheels, "mp_one")
    other = EnvironmentDefinition(name="other", python=made.python)
    locks = [venvs.resolve(each, progress=progress) for each in (made, other)]
    commands = {venvs.materialise(lock, progress=progress).command for lock in locks}
    assert len(commands) == 1
    assert sum("Building" in step for step in progress.steps) == 1
