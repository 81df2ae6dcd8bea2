"""The one place where errors become messages and exit codes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from modelport.cli.errors import exit_code_of
from modelport.cli.main import run
from modelport.domain.errors import UserErrorException

from .conftest import Call


def test_our_errors_are_message_and_hint(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code_of(UserErrorException("It is wrong.", hint="Do it right."), debug=False) == 1
    assert capsys.readouterr().err == "ERROR: It is wrong.\nDo it right.\n"


def test_debug_prints_the_traceback_first(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise UserErrorException("It is wrong.")
    except UserErrorException as error:
        assert exit_code_of(error, debug=True) == 1
    printed = capsys.readouterr().err
    assert printed.startswith("Traceback (most recent call last)")
    assert printed.endswith("ERROR: It is wrong.\n")


def test_what_nobody_expected_says_where_to_report_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code_of(ZeroDivisionError("division by zero"), debug=False) == 1
    printed = capsys.readouterr().err
    assert "ZeroDivisionError: division by zero" in printed
    assert "--debug" in printed
    assert "Traceback" not in printed


@pytest.mark.parametrize(
    ("number", "code", "message"), [(signal.SIGINT, 130, "Interrupted.\n"), (signal.SIGTERM, 143, "Terminated.\n")]
)
def test_a_signal_ends_the_program_with_a_word(home: Path, number: signal.Signals, code: int, message: str) -> None:
    pipe = home.parent / "pipe"
    os.mkfifo(pipe)
    Path("score.py").write_text("def init(): pass\ndef run(data): return data\n")
    program = "import sys\nfrom modelport.cli.main import main\nmain()"
    command = [sys.executable, "-c", program, "deploy", "score.py", "--input", f"@{pipe}"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        writing = opened_by_a_reader(pipe)
        process.send_signal(number)
        assert process.stderr is not None
        said = process.stderr.read()
        os.close(writing)
    assert (process.returncode, said) == (code, message)


def opened_by_a_reader(pipe: Path) -> int:
    """A descriptor of the pipe, once another process reads it."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            assert time.monotonic() < deadline, "nobody reads the pipe"
            time.sleep(0.01)


@pytest.mark.parametrize("arguments", [["model", "deploy", "--help"], ["workspace", "list"]])
def test_a_reader_that_goes_away_is_no_error(home: Path, arguments: list[str]) -> None:
    program = f"import sys\nfrom modelport.cli.main import main\nsys.argv[1:] = {arguments!r}\nmain()"
    command = [sys.executable, "-c", program]
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.close()  # before anything is written
        assert process.stderr is not None
        said = process.stderr.read()
    assert (process.returncode, said) == (1, "")


@pytest.mark.parametrize(
    ("arguments", "unwanted"),
    [
        (["--help"], {"sqlalchemy", "alembic", "uv", "rattler", "httpx", "rich", "yaml"}),
        (
            ["workspace", "list"],
            {"alembic", "rattler", "httpx", "httpx2", "docker", "requests", "urllib3", "lightkube"},
        ),
    ],
    ids=["help", "list"],
)
def test_a_command_imports_what_it_needs(home: Path, arguments: list[str], unwanted: set[str]) -> None:
    program = (
        f"import sys\nfrom modelport.cli.main import run\nassert run({arguments!r}) == 0\n"
        f"print(sorted({{name.split('.')[0] for name in sys.modules}} & {unwanted!r}), file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stderr == "[]\n"
    assert "doctor" in ended.stdout or "[]" in ended.stdout


def test_a_folder_that_is_gone_is_named_as_the_cause(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gone = home.parent / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    assert run(["model", "list"]) == 1
    assert "started in has been removed" in capsys.readouterr().err


def test_streams_that_the_caller_closed(home: Path) -> None:
    program = "from modelport.cli.main import main; main()"
    closing = [*("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"), sys.executable, "-c", program]
    assert subprocess.run([*closing, "workspace", "create", "-w", "shop"]).returncode == 0
    assert (home / "workspaces" / "shop" / "workspace.db").read_bytes().startswith(b"SQLite format 3")


@pytest.mark.parametrize("line", ["up", "workspace list", "workspace show -w shop", "service list"])
@pytest.mark.parametrize(("in_the_way", "said"), [("file", "Not a directory"), ("loop", "symbolic links")])
def test_a_home_that_cannot_be_read_is_not_taken_for_an_empty_one(
    call: Call, home: Path, line: str, in_the_way: str, said: str
) -> None:
    """A loop of links stands for another user's folder, which the tests' user may be allowed to read."""
    home.touch() if in_the_way == "file" else home.symlink_to(home)
    printed = call(line, code=1)
    told = printed.stdout + printed.stderr
    assert f"{home}/workspaces" in told
    assert "cannot be read: " in told and said in told
    assert "MODELPORT_HOME" in told


def test_the_doctor_goes_on_where_the_home_cannot_be_read(call: Call, home: Path) -> None:
    home.symlink_to(home)
    told = call("doctor", code=1).stdout
    assert f"PROBLEM  workspaces: {home}/workspaces cannot be read: " in told
    assert "port: " in told


def test_a_workspace_that_cannot_be_looked_into_does_not_hide_the_others(call: Call, home: Path) -> None:
    call("workspace create -w shop")
    other = home / "workspaces" / "other"
    other.mkdir()
    (other / "workspace.db").symlink_to("workspace.db")
    said = call("workspace list --query [].name", code=1)
    assert said.json == ["shop"]
    assert f"{other}/workspace.db cannot be read: " in said.stderr


def test_up_has_something_to_mail_only_where_it_did_not_find_all_running(call: Call, home: Path) -> None:
    """As docs/operating.md has it called by cron, which mails what is printed."""
    call("workspace create -w shop")
    said = call("up --only-show-errors -o table")
    assert (said.stdout, said.stderr) == ("", "")
    (home / "workspaces" / "shop" / "workspace.db").write_bytes(b"no database" * 100)
    assert "is damaged" in call("up --only-show-errors -o table", code=1).stdout
