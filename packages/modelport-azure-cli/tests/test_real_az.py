"""The real ``az`` with the extension: installed from its package, in an environment of its own."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from uv import find_uv_bin

from modelport.environments.uv import uv_environment
from modelport_scoring import supervisor_pid

AZURE_CLI = "azure-cli==2.91.0"
ROOT = Path(__file__).parents[3]

SCORE = "import json\n\ndef init():\n    pass\n\ndef run(data):\n    return sum(json.loads(data)['data'])\n"


@dataclass(frozen=True)
class Said:
    stdout: str
    stderr: str
    code: int


class Az:
    """``az`` with settings, extensions and a MODELPORT_HOME of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.work, self.home, self.bin = folder / "work", folder / "home", folder / "azure/bin"
        self.work.mkdir()
        self.environ = {
            **uv_environment(),
            "AZURE_CONFIG_DIR": str(folder / "config"),
            "AZURE_EXTENSION_DIR": str(folder / "extensions"),
            "AZURE_CORE_COLLECT_TELEMETRY": "false",
            "AZURE_CORE_NO_COLOR": "true",
            "MODELPORT_HOME": str(self.home),
            "PATH": os.pathsep.join([str(self.bin), "/usr/bin", "/bin"]),
        }

    def run(self, line: str, *, code: int = 0) -> Said:
        """Type the line in the folder."""
        ended = subprocess.run(
            shlex.split(line), cwd=self.work, env=self.environ, capture_output=True, text=True, timeout=100
        )
        said = Said(ended.stdout, ended.stderr, ended.returncode)
        assert said.code == code, f"{line}\n{said.stdout}\n{said.stderr}"
        return said

    def with_modelport(self) -> None:
        """Put the program ``az-ml`` on PATH."""
        self.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), self.environ["PATH"]])

    def clean_up(self) -> None:
        for lock in self.home.glob("workspaces/*/services/*/service.lock"):
            pid = supervisor_pid(lock.parent)
            if pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)


@pytest.fixture
def az(tmp_path: Path) -> Iterator[Az]:
    az, uv = Az(tmp_path), find_uv_bin()
    az.run(f"{uv} venv --quiet --python {sys.executable} {tmp_path}/azure")
    az.run(f"{uv} pip install --quiet --python {az.bin}/python {AZURE_CLI} pip")
    az.run(f"{uv} build --quiet --wheel --out-dir {tmp_path}/dist {ROOT}/packages/modelport-azure-cli")
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    az.run(f"az extension add --source {wheel} --yes")
    try:
        yield az
    finally:
        az.clean_up()


@pytest.mark.timeout(400)  # az itself takes a second or more for each command
def test_the_real_az_deploys_on_this_machine(az: Az) -> None:
    missing = az.run("az ml model list -w shop", code=1)
    assert "The program az-ml of Modelport is not on PATH" in missing.stderr
    az.with_modelport()
    _says_what_az_ml_says(az)
    _deploys(az)


def _says_what_az_ml_says(az: Az) -> None:
    az.run("az ml workspace create -w shop -g group")
    az.run("az ml folder attach -w shop -g group --output none")
    (az.work / "factor.json").write_text("2")
    az.run("az ml model register --name factor --model-path factor.json --tag a=b --tag c=d -t model.json")
    for line in ("model list", "model show -n factor -o tsv", "model list -o tsv --query [].[id,unpack,tags]"):
        assert az.run(f"az ml {line}").stdout == az.run(f"az-ml {line}").stdout
    wrong = az.run("az ml model show -n gone", code=1)
    assert "ERROR: {'Azure-cli-ml Version': " in wrong.stderr
    assert "the following arguments are required: --name/-n" in az.run("az ml service show", code=2).stderr
    shown = az.run("az ml model deploy -h").stdout
    assert "--inference-config-file" in shown
    assert "Deploy models as a web service" in shown


def _deploys(az: Az) -> None:
    (az.work / "score.py").write_text(SCORE)
    (az.work / "ic.json").write_text(json.dumps({"entryScript": "score.py"}))
    (az.work / "dc.json").write_text(json.dumps({"computeType": "aci"}))
    (az.work / "in.json").write_text(json.dumps({"data": [1, 2, 3]}))
    said = az.run("az ml model deploy -n summing -m factor:1 --ic ic.json --dc dc.json --ae false -o tsv --query state")
    assert said.stdout == "Healthy\n"
    assert 'ACI service creation operation finished, operation "Succeeded"' in said.stderr
    assert az.run("az ml service run -n summing -d @in.json").stdout == "6\n"
    az.run("az ml service delete -n summing")
