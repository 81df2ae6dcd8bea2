"""All peers, in the order in which they are driven and shown."""

from __future__ import annotations

from collections.abc import Sequence

from bench.scoring.peers.azureml_inference_server_http import peer as azureml
from bench.scoring.peers.bentoml import peer as bentoml
from bench.scoring.peers.fastapi import peer as fastapi
from bench.scoring.peers.interface import Peer
from bench.scoring.peers.kserve import peer as kserve
from bench.scoring.peers.litserve import peer as litserve
from bench.scoring.peers.mlflow import peer as mlflow
from bench.scoring.peers.mlserver import peer as mlserver
from bench.scoring.peers.modelport import peer as modelport
from bench.scoring.peers.pytriton import peer as pytriton
from bench.scoring.peers.ray_serve import peer as ray_serve

OTHERS: tuple[Peer, ...] = (
    *azureml.PEERS,
    *fastapi.PEERS,
    *mlserver.PEERS,
    *bentoml.PEERS,
    *litserve.PEERS,
    *mlflow.PEERS,
    *kserve.PEERS,
    *ray_serve.PEERS,
    *pytriton.PEERS,
)


def choose_peers(keys: Sequence[str], *, sources: modelport.Sources) -> list[Peer]:
    """Those of that name, all where none is named; Modelport from those sources. Exits on a name that is none."""
    known = {peer.key: peer for peer in (*modelport.peers(sources), *OTHERS)}
    wrong = [key for key in keys if key not in known]
    if wrong:
        raise SystemExit(f"bench: no peer {', '.join(wrong)}; there are {', '.join(known)}")
    return [known[key] for key in keys] or list(known.values())
