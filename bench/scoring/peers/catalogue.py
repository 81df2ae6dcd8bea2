"""All peers, in the order in which they are driven and shown."""

from __future__ import annotations

from collections.abc import Sequence

from bench.scoring.peers.azureml_inference_server_http import peer as azureml
from bench.scoring.peers.fastapi import peer as fastapi
from bench.scoring.peers.interface import Peer
from bench.scoring.peers.modelport import peer as modelport

OTHERS: tuple[Peer, ...] = (*azureml.PEERS, *fastapi.PEERS)


def choose_peers(keys: Sequence[str], *, sources: modelport.Sources) -> list[Peer]:
    """Those of that name, all where none is named; Modelport from those sources. Exits on a name that is none."""
    known = {peer.key: peer for peer in (*modelport.peers(sources), *OTHERS)}
    wrong = [key for key in keys if key not in known]
    if wrong:
        raise SystemExit(f"bench: no peer {', '.join(wrong)}; there are {', '.join(known)}")
    return [known[key] for key in keys] or list(known.values())
