"""The program of an init container, as a process, with servers that fail and archives that mean harm."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from modelport_scoring.container.last_word import MOST_BYTES, leave_last_word
from modelport_scoring.failures import Failure
from modelport_scoring.fetch.download import download
from modelport_scoring.fetch.failures import FetchFailed, Refused, Unreachable
from modelport_scoring.fetch.placing import below_in
from modelport_scoring.fetch.sources import StoreSource, put
from modelport_scoring.fetch.unpack import unpack
from scoring_services import PATIENCE_S, wait_until

SCRIPT = b"def init(): pass\ndef run(x): return x\n"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def archive_of(files: dict[str, bytes], *, more: list[tarfile.TarInfo] | None = None, mode: str = "w") -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for member in more or []:
            archive.addfile(member)
    return target.getvalue()


def bundle_files(model: bytes = b"42") -> dict[str, bytes]:
    files = {"app/score.py": SCRIPT, "azureml-models/line/1/model.bin": model}
    listed = [
        {"path": name, "size": len(content), "sha256": sha256(content), "executable": False}
        for name, content in files.items()
    ]
    manifest = {"format": 1, "entry_script": "score.py", "models": [], "files": listed}
    return {"bundle.json": json.dumps(manifest).encode(), **files}


class Store(ThreadingHTTPServer):
    """A web server with files, that can do parts of them, and breaks connections off where it is told to."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), StoreHandler)
        self.files: dict[str, bytes] = {}
        self.breaks_after: list[int] = []
        """For each of the next requests, after how many bytes its connection ends."""
        self.statuses: list[int] = []
        """For each of the next requests, what it is answered."""
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.piece_s = 0.0

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{name}"


class StoreHandler(BaseHTTPRequestHandler):
    server: Store
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        store = self.server
        store.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        name = self.path.partition("?")[0].lstrip("/")
        if store.statuses:
            self.send_error(store.statuses.pop(0))
            return
        if name == "moved":
            self.send_response(302)
            self.send_header("Location", store.url("bundle.tar").replace("127.0.0.1", "localhost"))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if name not in store.files:
            self.send_error(404)
            return
        content = store.files[name]
        begins = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        if begins >= len(content) > 0:
            self.send_error(416)
            return
        self.send_response(206 if begins else 200)
        if begins:
            self.send_header("Content-Range", f"bytes {begins}-{len(content) - 1}/{len(content)}")
        self.send_header("ETag", f'"{sha256(content)}"')
        self.send_header("Content-Length", str(len(content) - begins))
        self.end_headers()
        most = store.breaks_after.pop(0) if store.breaks_after else len(content)
        rest = content[begins : begins + most]
        for start in range(0, len(rest), 100_000):
            self.wfile.write(rest[start : start + 100_000])
            time.sleep(store.piece_s)
        self.close_connection = True

    def do_PUT(self) -> None:
        self.server.files[self.path.lstrip("/")] = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def store() -> Iterator[Store]:
    with Store() as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


class Fetching:
    """The program with its settings, and where it writes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.to = folder / "volume/bundle"
        self.files = bundle_files()
        self.wanted: dict[str, Any] = {"patience_s": 3}

    def bundle(self, url: str, **more: Any) -> None:
        digest = sha256(self.files["bundle.json"])
        self.wanted["bundle"] = {"url": url, "digest": digest, "to": str(self.to), **more}

    def run(self, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(), capture_output=True, text=True, timeout=60, env={**os.environ, **variables}
        )

    def command(self) -> list[str]:
        settings = self.folder / "fetch.json"
        settings.write_text(json.dumps(self.wanted))
        return [sys.executable, "-P", "-m", "modelport_scoring.fetch", "--settings", str(settings)]

    @property
    def fetched(self) -> dict[str, bytes]:
        return {
            path.relative_to(self.to).as_posix(): path.read_bytes() for path in self.to.rglob("*") if path.is_file()
        }


@pytest.fixture
def fetching(tmp_path: Path) -> Fetching:
    return Fetching(tmp_path)


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_bundle_is_fetched_verified_and_fetched_only_once(store: Store, fetching: Fetching, mode: str) -> None:
    store.files["bundle.tar"] = archive_of(fetching.files, mode=mode)
    fetching.bundle(store.url("bundle.tar?signature=secret"), sha256=sha256(store.files["bundle.tar"]))
    done = fetching.run(MODELPORT_FETCH_AUTHORIZATION="Bearer key")
    assert done.returncode == 0, done.stderr
    assert fetching.fetched == fetching.files
    assert store.asked[0][1]["authorization"] == "Bearer key"
    assert "secret" not in done.stderr
    assert f"{fetching.to}, verified" in done.stderr
    assert [path.name for path in fetching.to.parent.iterdir() if not path.name.endswith(".lock")] == ["bundle"]
    again = fetching.run()
    assert (again.returncode, len(store.asked)) == (0, 1)
    assert "is there already, and as it should be" in again.stderr
    (fetching.to / "app/score.py").write_text("changed")
    mended = fetching.run()
    assert (mended.returncode, fetching.fetched) == (0, fetching.files)
    assert "app/score.py is not as the bundle's manifest says" in mended.stderr


def test_what_breaks_off_is_resumed(store: Store, fetching: Fetching) -> None:
    fetching.files = bundle_files(os.urandom(3_000_000))
    content = store.files["bundle.tar"] = archive_of(fetching.files)
    fetching.bundle(store.url("bundle.tar"), sha256=sha256(content))
    store.statuses = [503, 429]
    store.breaks_after = [0, 1_000_000, 1_500_000]
    done = fetching.run()
    assert done.returncode == 0, done.stderr
    assert fetching.fetched == fetching.files
    ranges = [headers.get("range") for _, headers in store.asked]
    assert ranges[:3] == [None, None, None]
    assert all(text is not None and text.startswith("bytes=") for text in ranges[4:])
    assert store.asked[-1][1]["if-range"] == f'"{sha256(content)}"'


def test_one_that_was_killed_goes_on_where_it_was(store: Store, fetching: Fetching) -> None:
    fetching.files = bundle_files(os.urandom(3_000_000))
    content = store.files["bundle.tar"] = archive_of(fetching.files)
    fetching.bundle(store.url("bundle.tar"), sha256=sha256(content))
    store.piece_s = 0.2
    with subprocess.Popen(fetching.command(), stderr=subprocess.DEVNULL) as first:
        wait_until(lambda: partly(fetching) > 1_000_000, what="a part of it")
        first.send_signal(signal.SIGKILL)
    store.piece_s = 0
    assert fetching.run().returncode == 0
    assert fetching.fetched == fetching.files
    assert int(store.asked[-1][1]["range"].strip("bytes=-")) >= 1_000_000
    # what lies there from an earlier time may be of another archive
    other = Fetching(fetching.folder / "other")
    other.folder.mkdir()
    other.bundle(store.url("small.tar"))
    store.files["small.tar"] = archive_of(other.files)
    other.bundle(store.url("small.tar"), sha256=sha256(store.files["small.tar"]))
    other.to.parent.mkdir(parents=True)
    digest = sha256(other.files["bundle.json"])
    (other.to.parent / f".{digest}.tar").write_bytes(b"x" * 1000)
    done = other.run()
    assert (done.returncode, other.fetched) == (0, other.files), done.stderr
    assert "it is fetched anew" in done.stderr


def partly(fetching: Fetching) -> int:
    return sum(path.stat().st_size for path in fetching.to.parent.glob(".*.tar"))


def test_a_key_is_not_told_to_whoever_is_redirected_to(store: Store, fetching: Fetching) -> None:
    store.files["bundle.tar"] = archive_of(fetching.files)
    fetching.bundle(store.url("moved"))
    assert fetching.run(MODELPORT_FETCH_AUTHORIZATION="Bearer key").returncode == 0
    assert ["authorization" in headers for _, headers in store.asked] == [True, False]


def test_what_cannot_be_fetched_says_why(store: Store, fetching: Fetching) -> None:
    def expect(status: int, text: str) -> None:
        done = fetching.run()
        assert (done.returncode, text in done.stderr) == (status, True), f"{text}: {done.stderr}"
        assert not (fetching.to / "bundle.json").exists()

    fetching.bundle(store.url("none.tar"))
    expect(1, "none.tar: 404")
    store.statuses = [403]
    expect(1, "a signed address may have expired")
    fetching.bundle("ftp://example.org/bundle.tar")
    expect(1, "must begin with one of http://")
    fetching.bundle("http://127.0.0.1:9/bundle.tar")
    fetching.wanted["patience_s"] = 0.5
    expect(1, "Connection refused")
    store.files["bundle.tar"] = archive_of(fetching.files)
    fetching.bundle(store.url("bundle.tar"), sha256="0" * 64)
    expect(3, "it should be 000")
    fetching.bundle(store.url("bundle.tar"), digest="0" * 64)
    expect(3, "this is not the bundle 000")
    store.files["bundle.tar"] = archive_of({**fetching.files, "app/more.py": b""})
    fetching.bundle(store.url("bundle.tar"))
    expect(3, "app/more.py is no file of the bundle's manifest")
    store.files["bundle.tar"] = archive_of({**fetching.files, "app/score.py": b"import os"})
    expect(3, "app/score.py is not as the bundle's manifest says")
    store.files["bundle.tar"] = b"\x28\xb5\x2f\xfd and more"
    expect(3, "compressed with zstandard")
    store.files["bundle.tar"] = archive_of(fetching.files, mode="w:gz")[:-30]
    expect(3, "no archive that can be read")
    (fetching.folder / "file").write_text("")
    fetching.to = fetching.folder / "file/bundle"
    fetching.bundle(store.url("bundle.tar"))
    expect(4, "must be able to write there")
    fetching.wanted = {"bundle": {"url": "x", "digest": "y", "to": "/z"}}
    expect(2, "bundle.digest must be a SHA-256 digest")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:9/a b?sig=SECRET", "http://127.0.0.1:9/a b: an address has"),
        ("http://127.0.0.1:9/\u00e9?sig=SECRET", "no blanks or letters beyond ASCII"),
        ("http://[::1/a?sig=SECRET", "the address, which is none: Invalid IPv6 URL"),
        ("http://127.0.0.1:port/a?sig=SECRET", "http://127.0.0.1:port/a: an address has a number as its port"),
        ("file://host/a?sig=SECRET", "names the machine host"),
        ("az://me:SECRET@store/a", "az://store"),
    ],
)
def test_an_address_that_cannot_be_keeps_its_secret(tmp_path: Path, url: str, words: str) -> None:
    with pytest.raises(FetchFailed, match=re.escape(words)) as caught:
        download(url, tmp_path / "file", sha256=None, patience_s=0.1)
    assert "SECRET" not in str(caught.value)
    with pytest.raises(FetchFailed) as caught:
        (tmp_path / "file").write_bytes(b"content")
        put(tmp_path / "file", url)
    assert "SECRET" not in str(caught.value)


def link(name: str, target: str, *, hard: bool = False) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.LNKTYPE if hard else tarfile.SYMTYPE, target
    return member


def device(name: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = tarfile.CHRTYPE
    return member


HARMFUL: dict[str, Callable[[], bytes]] = {
    "leads out of it": lambda: archive_of({"../evil": b""}),
    "leads out of it: '/tmp": lambda: archive_of({"/tmp/evil": b""}),
    "twice": lambda: archive_of({"a": b"1", "./a": b"2"}),
    "link that leads out of it, to /etc/passwd": lambda: archive_of({}, more=[link("a", "/etc/passwd")]),
    "link that leads out": lambda: archive_of({"x/y/z": b""}, more=[link("x/y/up", "../.."), link("x/y/w", "up/../b")]),
    "below a link": lambda: archive_of({"b/c": b""}, more=[link("l", "b"), tarfile.TarInfo("l/evil")]),
    "is a link": lambda: archive_of({"a": b""}, more=[link("h", "a", hard=True)]),
    "neither a file nor a folder": lambda: archive_of({}, more=[device("null")]),
    "the Python of another image": lambda: archive_of({}, more=[link("bin/python3", "/nowhere/python3")]),
}


@pytest.mark.parametrize("reason", HARMFUL)
def test_archives_that_mean_harm_are_refused(tmp_path: Path, reason: str) -> None:
    (tmp_path / "archive.tar").write_bytes(HARMFUL[reason]())
    (tmp_path / "folder").mkdir()
    with pytest.raises(Refused, match=reason):
        unpack(tmp_path / "archive.tar", tmp_path / "folder", links=True)
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("kept_bytes", [0, 3, 9, 12, 40, 600, 2_000])
@pytest.mark.parametrize("suffix", ["gz", "bz2"])
def test_an_archive_that_is_cut_off_is_refused(tmp_path: Path, suffix: str, kept_bytes: int) -> None:
    archive = tmp_path / "archive.tar"
    archive.write_bytes(archive_of({"a": random.Random(1).randbytes(3_000)}, mode=f"w:{suffix}"))
    archive.write_bytes(archive.read_bytes()[:kept_bytes])
    assert below_in(archive, tmp_path) == ""
    (tmp_path / "folder").mkdir()
    with pytest.raises(Refused, match="no archive that can be read"):
        unpack(archive, tmp_path / "folder")


def test_an_environment_as_a_layer_of_an_image_is_placed(store: Store, fetching: Fetching) -> None:
    to = fetching.folder / "opt/modelport/environment"
    place = str(to).strip("/")
    folder = tarfile.TarInfo(place)
    folder.type = tarfile.DIRTYPE
    files = {f"{place}/pyvenv.cfg": b"home = x\n", f"{place}/lib/package.py": b"answer = 42\n"}
    links = [link(f"{place}/bin/python", sys.executable), link(f"{place}/bin/python3", "python")]
    content = store.files["environment.tar"] = archive_of(files, more=[folder, *links], mode="w:gz")
    fetching.wanted["environment"] = {"url": store.url("environment.tar"), "sha256": sha256(content), "to": str(to)}
    done = fetching.run()
    assert done.returncode == 0, done.stderr
    assert (to / "lib/package.py").read_bytes() == b"answer = 42\n"
    assert (to / "bin/python3").resolve() == Path(sys.executable).resolve()
    assert fetching.run().returncode == 0
    assert len(store.asked) == 1


@contextmanager
def mounted(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "none", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_volume_itself_may_be_the_place(store: Store, fetching: Fetching) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    store.files["bundle.tar"] = archive_of(fetching.files)
    fetching.bundle(store.url("bundle.tar"))
    with mounted(fetching.to):
        (fetching.to / "left.txt").write_text("by an earlier time that was killed")
        assert fetching.run().returncode == 0
        assert {name for name in fetching.fetched if not name.endswith(".lock")} == set(fetching.files)
        assert "is there already" in fetching.run().stderr


def test_several_that_share_a_volume_fetch_once(store: Store, fetching: Fetching) -> None:
    store.files["bundle.tar"] = archive_of(fetching.files)
    fetching.bundle(store.url("bundle.tar"))
    command = fetching.command()
    at_once = [subprocess.Popen(command, stderr=subprocess.DEVNULL) for _ in range(3)]
    assert [one.wait(PATIENCE_S) for one in at_once] == [0, 0, 0]
    assert len(store.asked) == 1


def test_files_are_put_where_they_are_fetched_from(store: Store, tmp_path: Path) -> None:
    content = os.urandom(2_500_000)
    (tmp_path / "archive.tar").write_bytes(content)
    put(tmp_path / "archive.tar", store.url("put.tar"))
    assert store.files["put.tar"] == content
    put(tmp_path / "archive.tar", f"file://{tmp_path}/below/put.tar")
    assert (tmp_path / "below/put.tar").read_bytes() == content
    # the code for object stores, on the one that obstore has for folders
    with StoreSource(f"file://{tmp_path}/below/put.tar").open(1_000_000) as opened:
        assert (opened.offset, opened.size) == (1_000_000, len(content))
        assert b"".join(opened.pieces) == content[1_000_000:]
    with (
        pytest.raises(FetchFailed, match=r"none.tar: FileNotFoundError") as raised,
        StoreSource(f"file://{tmp_path}/none.tar").open(0),
    ):
        pass
    assert not isinstance(raised.value, Unreachable), "it is not tried again"


def test_the_last_word_fits(tmp_path: Path) -> None:
    word = tmp_path / "termination-log"
    leave_last_word("nobody reads this", file=str(word))
    assert not word.exists()
    word.write_text("what was there before, and is longer")
    leave_last_word("one line", file=str(word))
    assert word.read_text() == "one line"
    failure = Failure(phase="init", type="ValueError", message="no such luck", traceback="line\n" * 3000 + "the end")
    leave_last_word(failure, file=str(word))
    found = json.loads(word.read_bytes())
    assert word.stat().st_size <= MOST_BYTES
    assert (found["message"], found["traceback"][-7:]) == ("no such luck", "the end")
