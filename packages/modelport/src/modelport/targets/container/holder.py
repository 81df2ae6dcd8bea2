"""The smallest container: it has a service's network and its port, and sleeps for ever.

The servers of a service come and go in its network, as the containers of a pod do in that of Kubernetes' pause
container. Its image has one file, a program of a few instructions, so that it needs nothing of the service's images.
"""

from __future__ import annotations

import hashlib
import json
import struct

from modelport.domain.errors import WebserviceException
from modelport.targets.container.archives import File, packed

REFERENCE = "localhost/modelport/network:1"

_PROGRAM = "pause"

_ELF_HEADER, _PROGRAM_HEADER = 64, 56
_BASE = 0x400000
_CODE = {
    # mov eax, 34 (pause); syscall; jump back
    "amd64": (62, bytes.fromhex("b8220000000f05ebf7")),
    # mov x0..x3, 0; mov x8, 73 (ppoll: of nothing, without an end); svc 0; branch back
    "arm64": (183, bytes.fromhex("000080d2010080d2020080d2030080d2280980d2010000d4faffff17")),
}
"""By architecture: its number in ELF files, and the code."""
_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
"""As engines call them."""


def holder_archive(architecture: str) -> bytes:
    """The image as ``docker save`` writes it. Raises WebserviceException for an architecture that has no such image."""
    known = _ARCHITECTURES.get(architecture)
    if known is None:
        raise WebserviceException(
            f"The container engine's machine is of architecture {architecture}: nothing runs there."
        )
    layer = packed([File(_PROGRAM, _program(known), mode=0o755)])
    config = json.dumps(
        {
            "architecture": known,
            "os": "linux",
            "config": {"Cmd": [f"/{_PROGRAM}"], "User": "10001:10001", "Labels": {"modelport.dev/role": "network"}},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
            "created": "1970-01-01T00:00:00Z",
            "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "modelport: network"}],
        }
    ).encode()
    row = {"Config": "config.json", "RepoTags": [REFERENCE], "Layers": ["layer.tar"]}
    return packed(
        [File("layer.tar", layer), File("config.json", config), File("manifest.json", json.dumps([row]).encode())]
    )


def _program(architecture: str) -> bytes:
    """An executable of one segment (elf(5)): both headers, then the code."""
    machine, code = _CODE[architecture]
    start = _ELF_HEADER + _PROGRAM_HEADER
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack(
        "<HHIQQQIHHHHHH", 2, machine, 1, _BASE + start, _ELF_HEADER, 0, 0, _ELF_HEADER, 56, 1, 0, 0, 0
    )
    size = start + len(code)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x1000)
    return header + segment + code
