"""ModelDataCollector: real files, and what a script that collects must not notice."""

from __future__ import annotations

import csv
import fcntl
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from azureml import _modelport
from azureml.monitoring import ModelDataCollector, _files, _writer
from azureml.monitoring._rows import table_of
from azureml.monitoring._text import csv_text

CORRELATIONS = [
    "$aml_dc_correlation_id",
    "$aml_dc_scoring_timestamp",
    "$aml_dc_boundary",
    "$aml_workspace",
    "$aml_service_name",
    "$aml_model_name",
    "$aml_model_version",
    "$aml_request_id",
]


class Store:
    """The folder that is collected in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def files(self) -> list[str]:
        assert _writer._writers[os.getpid()].flush()
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*.csv"))

    def rows(self, pattern: str) -> list[list[str]]:
        """Header and rows of the one file."""
        self.files()
        (path,) = self.folder.rglob(pattern)
        with path.open(newline="") as file:
            return list(csv.reader(file))


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("AML_MODEL_DC_STORAGE_ENABLED", "true")
    monkeypatch.setenv("AZUREML_MODEL_DATA_DIR", str(tmp_path / "modeldata"))
    monkeypatch.setenv("AZUREML_MODEL_DATA_WORKSPACE", "sub/group/shop")
    monkeypatch.setenv("SERVICE_NAME", "flowers")
    monkeypatch.chdir(tmp_path)
    yield Store(tmp_path / "modeldata")
    _modelport.note_request_id("")


def test_that_nobody_asks_for(capsys: pytest.CaptureFixture[str]) -> None:
    collector = ModelDataCollector(model_name="flowers", identifier="inputs")
    assert (collector.collect([[1]], user_correlation_id="a"), collector.add_correlations([2], {})) == ({}, [2])
    assert "not switched on; nothing is recorded" in capsys.readouterr().out


def test_no_folder(store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("AZUREML_MODEL_DATA_DIR")
    assert ModelDataCollector("flowers", "inputs").collect([1]) == {}
    assert "nothing is recorded, though AML_MODEL_DC_STORAGE_ENABLED is true" in capsys.readouterr().out


def test_inputs(store: Store) -> None:
    (Path("azureml-models") / "iris" / "7").mkdir(parents=True)
    _modelport.note_request_id("request-1")
    collector = ModelDataCollector("iris", designation="inputs", feature_names=["a", "b"])
    data = np.array([[1.5, 2.0, 3.0], [4.0, 5.0, 6.25]])
    told = collector.collect(data)
    data[:] = 0  # the writer has its own
    day = told["$aml_dc_scoring_timestamp"][:10].replace("-", "/")
    assert store.files() == [f"sub/group/shop/flowers/iris/7/inputs/{day}/inputs.csv"]
    header, first, second = store.rows("inputs.csv")
    assert header == ["a", "b", "2", *CORRELATIONS] and list(told) == CORRELATIONS
    assert first == ["1.5", "2.0", "3.0", *told.values()] and second[:3] == ["4.0", "5.0", "6.25"]
    assert (told["$aml_dc_correlation_id"], told["$aml_request_id"]) == ("request-1", "request-1")
    assert list(told.values())[2:7] == ["1440", "shop", "flowers", "iris", "7"]
    assert collector.collect([[1, 2, 3]], "loan-5")["$aml_dc_correlation_id"] == "loan-5"
    assert len(store.rows("inputs.csv")) == 4  # one header


def test_predictions_are_related_to_inputs(store: Store) -> None:
    inputs = ModelDataCollector("iris", "inputs", ["a"])
    predictions = ModelDataCollector("iris", "predictions", ["first", "second"])
    correlations = inputs.collect([[1], [2]])
    predictions.collect(np.array([7.0, 8.0]))
    assert store.rows("predictions.csv") == [["first", "second"], ["7.0", "8.0"]]
    predictions = ModelDataCollector("iris", "predictions", ["class"], model_version="2")
    predictions.collect(predictions.add_correlations(["rose", "lily"], correlations))
    (path,) = [name for name in store.files() if "/2/predictions/" in name]
    with (store.folder / path).open(newline="") as file:
        header, rose, lily = csv.reader(file)
    assert header == ["class", *CORRELATIONS] and rose == ["rose", *correlations.values()] and lily[0] == "lily"
    frame = predictions.add_correlations(pd.DataFrame({"class": ["rose"]}), correlations)
    assert list(frame.columns) == ["class", *CORRELATIONS]


def test_designations(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert ModelDataCollector("m", "outputs").collect([1]) == {}
    assert "there is no designation 'outputs'" in capsys.readouterr().out
    ModelDataCollector("m", collection_name="speed/../x").collect([1])
    ModelDataCollector("m", identifier="signals").collect([1])
    names = [name.split("/", 6)[-1] for name in store.files()]
    assert sorted((name.split("/")[0], name.split("/")[-1]) for name in names) == [
        ("general", "speed_.._x.csv"),
        ("signals", "default.csv"),
    ]


def test_nothing_leads_out_of_the_folder(store: Store) -> None:
    ModelDataCollector("..", "labels", workspace="../../..", webservice_name="/etc", model_version="1").collect([1])
    (name,) = store.files()
    assert name.startswith("default/default/default/_etc/default/1/labels/")


@pytest.mark.parametrize(
    ("data", "names", "text"),
    [
        pytest.param([1, 2], [], "0\n1\n2\n", id="a column"),
        pytest.param([1, 2], ["a", "b"], "a,b\n1,2\n", id="a row, by its names"),
        pytest.param([[1], [2, 3]], ["a"], "a,1\n1,\n2,3\n", id="rows of several lengths"),
        pytest.param(5.5, [], "0\n5.5\n", id="a number"),
        pytest.param('say "x"', ["said"], 'said\n"say ""x"""\n', id="a text"),
        pytest.param({"a": 1, "b": None}, ["x", "y"], "a,b\n1,\n", id="a dictionary"),
        pytest.param([{"a": 1}, {"b": True}], [], "a,b\n1,\n,True\n", id="dictionaries"),
        pytest.param(np.zeros((1, 2, 2), dtype=np.int8), [], "0,1,2,3\n0,0,0,0\n", id="three dimensions"),
        pytest.param(np.array(3), [], "0\n3\n", id="an array of no dimension"),
        pytest.param(pd.DataFrame({"a": [1], "b": [0.5]}), ["x"], "a,b\n1,0.5\n", id="a frame keeps its names"),
        pytest.param(pd.DataFrame({"a": [1], "b": [0.5]}), ["x", "y"], "x,y\n1,0.5\n", id="a frame gets names"),
        pytest.param(pd.Series([1, 2], name="s"), [], "s\n1\n2\n", id="a series"),
        pytest.param(pd.DataFrame({"t": [pd.Timestamp("2021-02-03")]}), [], "t\n2021-02-03T00:00:00\n", id="a moment"),
        pytest.param([[b"\x00", {"k": [1]}]], [], '0,1\nAA==,"{""k"": [1]}"\n', id="bytes and a dictionary"),
        pytest.param([], ["a"], "a\n", id="nothing"),
    ],
)
def test_tables(data: Any, names: list[str], text: str) -> None:
    assert csv_text(table_of(data, names), header=True) == text


def test_debugging_prints(store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("AML_MODEL_DC_DEBUG", "true")
    assert ModelDataCollector("m", "labels", ["a"]).collect([1]) != {}
    assert capsys.readouterr().out == "m: labels\na\n1\n"
    assert not store.folder.exists()


def test_hours(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AML_MODEL_DC_BOUNDARY", "hour")
    told = ModelDataCollector("m", "inputs").collect([1])
    assert told["$aml_dc_boundary"] == "60"
    hour = told["$aml_dc_scoring_timestamp"][:13].replace("-", "/").replace("T", "/")
    assert store.files()[0].endswith(f"/inputs/{hour}/inputs.csv")


def test_another_header_and_a_full_file_begin_another_file(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for names in (["a"], ["b"], ["a"]):
        ModelDataCollector("m", "labels", names).collect([1])
        store.files()
    monkeypatch.setattr(_files, "LARGEST_BYTES", 4)
    ModelDataCollector("m", "labels", ["a"]).collect([2])
    texts = {Path(name).name: (store.folder / name).read_text() for name in store.files()}
    assert texts == {"labels.csv": "a\n1\n1\n", "labels-2.csv": "b\n1\n", "labels-3.csv": "a\n2\n"}


def test_rows_of_other_columns_that_wait_together_are_not_mixed(store: Store) -> None:
    for names, value in ((["a"], 1), (["b"], 2), (["a"], 3)):
        ModelDataCollector("m", "labels", names).collect([value])
    texts = {Path(name).name: (store.folder / name).read_text() for name in store.files()}
    assert texts == {"labels.csv": "a\n1\n3\n", "labels-2.csv": "b\n2\n"}


def test_a_line_that_was_cut_off_stays_alone(store: Store) -> None:
    collector = ModelDataCollector("m", "labels", ["a"])
    collector.collect([1])
    with (store.folder / store.files()[0]).open("a") as file:
        file.write("12")
    collector.collect([3])
    assert store.rows("labels.csv") == [["a"], ["1"], ["12"], ["3"]]


def test_what_cannot_be_collected_is_said_once(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    class Strange:
        def tolist(self) -> list[int]:
            raise RuntimeError("no list")

    collector = ModelDataCollector("m", "labels")
    assert [collector.collect(Strange()) for _ in range(3)] == [{}, {}, {}]
    assert capsys.readouterr().out.count("RuntimeError: no list") == 1


def test_a_folder_that_cannot_be_written(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    store.folder.write_text("a file is in the way")
    ModelDataCollector("m", "labels").collect([1, 2])
    assert _writer._writers[os.getpid()].flush()
    assert "2 rows were dropped: NotADirectoryError" in capsys.readouterr().out


def test_a_slow_disk_does_not_hold_the_script_up(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_writer, "MOST_CELLS", 100)
    collector = ModelDataCollector("m", "labels", ["a"])
    collector.collect([0])
    (name,) = store.files()
    with (store.folder / name).open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        collector.collect([1])
        _until(lambda: not _writer._writers[os.getpid()]._waiting)  # the writer has it, and waits for the lock
        for _ in range(300):
            collector.collect([2])  # who waited for the disk would wait for the end of this block
    assert [row[0] for row in store.rows("labels.csv")] == ["a", "0", "1"] + ["2"] * 100
    lost = [line for line in capsys.readouterr().out.splitlines() if "rows were dropped" in line]
    assert sum(int(line.split()[1]) for line in lost) == 200
    assert "they came faster than they can be written" in lost[0]


def _until(true: Any) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


WORKER = """
import os, sys
sys.path.insert(0, {path!r})
from azureml.monitoring import ModelDataCollector, _writer

collector = ModelDataCollector("m", "predictions", ["worker", "text"])
collector.collect([[0, "before the fork"]])
child = os.fork()
who = os.getpid()
for number in range(500):
    while number == 499 and not _writer._writers[who].flush():
        pass  # the end waits for the last ones only, and not for as long as a busy machine may take for all
    collector.collect([[who, "x" * (number % 50)], [who, "line\\nbreak"]])
if child:
    os.waitpid(child, 0)
else:
    import atexit
    atexit._run_exitfuncs()
    os._exit(0)
"""


@pytest.mark.parametrize("version", ["3.6", "3.11"])
def test_several_workers_share_a_file(store: Store, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of them each fork, as workers that start from a template do."""
    monkeypatch.setenv("PYENV_VERSION", version)
    program = shutil.which(f"python{version}")
    if program is None:
        pytest.skip(f"there is no Python {version} on this machine")
    code = WORKER.format(path=str(Path(_modelport.__file__).parents[1]))
    workers = [subprocess.Popen([program, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [worker.communicate(timeout=60)[0] for worker in workers] == ["", ""]
    (path,) = store.folder.rglob("predictions.csv")
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["worker", "text"]
    of_worker: dict[str, list[str]] = {}
    for worker, text in rows:
        of_worker.setdefault(worker, []).append(text)
    assert of_worker.pop("0") == ["before the fork"] * 2
    expected = [text for number in range(500) for text in ("x" * (number % 50), "line\nbreak")]
    assert list(of_worker.values()) == [expected] * 4


def test_it_costs_a_request_little(store: Store) -> None:
    collector = ModelDataCollector("m", "inputs")
    row = np.arange(10.0).reshape(1, 10)
    started = time.thread_time()
    for _ in range(2000):
        collector.collect(row)
    each_us = (time.thread_time() - started) / 2000 * 1e6
    assert each_us < 1000  # 50 on a machine that does nothing else
