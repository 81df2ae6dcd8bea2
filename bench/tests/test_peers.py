"""The catalogue, the wire formats, and how an answer is compared."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from bench.scoring.models import make_models
from bench.scoring.peers.catalogue import choose_peers
from bench.scoring.peers.interface import Peer
from bench.scoring.peers.modelport.peer import Sources
from bench.scoring.peers.wire import ByWorkload, OpenInference, PlainJson
from bench.scoring.sitting import same
from bench.scoring.workloads import Answer, Load, Sample, choose_workloads

W1, W3, W6 = choose_workloads(["W1", "W3", "W6"])
ROWS = Sample(rows=[[1.0, 2.0], [3.0, 4.0]], binary=None, expected=[3.0, 7.0])
BINARY = Sample(rows=[], binary=b"\x00\xff", expected=b"\x00\xff")
PEERS = choose_peers([], sources=Sources())


def test_names_are_told_apart() -> None:
    assert len({peer.key for peer in PEERS}) == len(PEERS)
    assert len({peer.title for peer in PEERS}) == len(PEERS)


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.key)
def test_requirements_are_pinned_and_name_no_host(peer: Peer) -> None:
    lines = [line for line in peer.requirements.read_text().splitlines() if line and not line.startswith("#")]
    assert lines
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9._-]+(\[[a-z0-9,-]+\])?==[\w.+!]+", line)] == []


def test_a_peer_that_is_none_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(SystemExit, match="no peer flask; there are modelport"):
        choose_peers(["flask"], sources=Sources())


def test_a_workload_that_is_none_is_refused() -> None:
    with pytest.raises(SystemExit, match="no workload W9"):
        choose_workloads(["W9"])


def test_plain_json_carries_rows_and_bytes() -> None:
    assert json.loads(PlainJson().call(W1, ROWS).body or b"") == {"data": ROWS.rows}
    for workload in (W3, W6):
        assert PlainJson().call(workload, BINARY).body == b"\x00\xff"
        assert PlainJson().read(workload, b"\x00\xff") == b"\x00\xff"


def test_bytes_and_numbers_have_a_format_each() -> None:
    wire = ByWorkload(binary=PlainJson(path="/echo"), numeric=OpenInference())
    assert [wire.call(workload, BINARY).path for workload in (W3, W6)] == ["/echo", "/echo"]
    assert wire.call(W1, ROWS).path == "/v2/models/model/infer"


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.key)
def test_who_takes_no_bytes_takes_them_of_no_size(peer: Peer) -> None:
    assert ("W3" in peer.workloads) == ("W6" in peer.workloads)
    assert peer.lacks.get("W3") == peer.lacks.get("W6")


def test_a_body_has_the_size_of_its_workload(tmp_path: Path) -> None:
    samples = make_models(tmp_path, [W3, W6])
    sizes = {key: (len(sample.binary or b""), sample.expected == sample.binary) for key, sample in samples.items()}
    assert sizes == {"W3": (102_400, True), "W6": (10_485_760, True)}


@pytest.mark.parametrize(
    ("load", "within"),
    [
        (Load(connections=1), 5),
        (Load(connections=1, least_s=10), 10),
        (Load(connections=1, most_s=1), 1),
        (Load(connections=1, most_s=9), 5),
    ],
)
def test_how_long_a_load_is_driven_in_a_run_of_five_seconds_each(load: Load, within: int) -> None:
    assert load.within(5) == within


@pytest.mark.parametrize("body", [b"[3, 7]", b"[[3], [7]]", b'{"predictions": [3.0, 7.0]}'])
def test_plain_json_is_read_whatever_it_is_wrapped_in(body: bytes) -> None:
    assert PlainJson().read(W1, body) == [3.0, 7.0]


def test_a_tensor_has_its_shape() -> None:
    tensor = json.loads(OpenInference().call(W1, ROWS).body or b"")["inputs"][0]
    assert (tensor["shape"], tensor["data"]) == ([2, 2], [1.0, 2.0, 3.0, 4.0])


@pytest.mark.parametrize(
    ("answer", "expected", "equal"),
    [
        ([1.0, 2.0], [1.0, 2.0 + 1e-9], True),
        ([1.0, 2.0], [1.0, 2.1], False),
        ([1.0], [1.0, 2.0], False),
        ([], [1.0], False),
        (b"ab", b"ab", True),
        (b"ab", b"ac", False),
        ([1.0], b"ab", False),
    ],
)
def test_values_are_compared_not_only_counted(answer: Answer, expected: Answer, equal: bool) -> None:
    assert same(answer, expected) is equal


def test_another_trees_packages_come_first(tmp_path: Path) -> None:
    (tmp_path / "modelport-worker" / "src").mkdir(parents=True)
    assert Sources(packages=tmp_path).variables == {"PYTHONPATH": str(tmp_path / "modelport-worker" / "src")}
    assert Sources().variables == {}
