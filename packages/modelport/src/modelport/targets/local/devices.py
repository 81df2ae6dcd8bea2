"""GPUs of this machine."""

from __future__ import annotations

from pathlib import Path

from modelport.domain.errors import WebserviceException

_FOLDER = Path("/dev")


def check_gpus(wanted: int, *, devices: Path = _FOLDER) -> None:
    """Raise WebserviceException unless the machine has that many GPUs (NVIDIA's device files are counted)."""
    present = len([path for path in devices.glob("nvidia[0-9]*") if path.name[len("nvidia") :].isdigit()])
    if wanted > present:
        raise WebserviceException(
            f"The deployment asks for {wanted} GPU{'s' * (wanted > 1)}, and this machine has {present or 'none'}.",
            hint="Leave enable_gpu (gpu_cores) out, or install the GPU's driver: it makes /dev/nvidia0.",
        )
