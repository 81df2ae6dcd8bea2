"""Commands on a real workspace, in process; stories/ has those that need services."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from modelport import Experiment, Workspace

from .conftest import Call

IDS = "--query '[].id' -o tsv"


def test_workspaces(call: Call, home: Path) -> None:
    made = call("workspace create -w shop -g group --subscription-id s --tag a=b --friendly-name 'The shop'").json
    assert (made["name"], made["resourceGroup"], made["tags"]) == ("shop", "group", {"a": "b"})
    assert "exists already" in call("workspace create -w shop", code=1).stderr
    call("workspace create -w shop --exist-ok")
    assert call("workspace list --query '[].name'").json == ["shop"]
    assert call("workspace list -g other").json == []
    damaged = home / "workspaces" / "damaged"
    damaged.mkdir()
    (damaged / "workspace.db").write_bytes(b"no database" * 1000)
    said = call("workspace list --query '[].name'", code=1)
    assert said.json == ["shop"], "one that cannot be opened does not hide the others"
    assert f"ERROR: The database {damaged / 'workspace.db'} is damaged" in said.stderr
    shutil.rmtree(damaged)
    assert call("workspace show -w shop -g group --query friendlyName").json == "The shop"
    assert "'group', not 'other'" in call("workspace show -w shop -g other", code=1).stderr
    assert "needs a name" in call("workspace create", code=1).stderr
    call("workspace delete -w shop --yes")
    assert call("workspace list").json == []


def test_a_home_that_is_made_is_its_owner_s_alone(call: Call, home: Path) -> None:
    before = os.umask(0)
    try:
        call("workspace create -w shop")
        assert home.stat().st_mode & 0o777 == 0o700
        home.chmod(0o770)
        call("workspace create -w other")
    finally:
        os.umask(before)
    assert home.stat().st_mode & 0o777 == 0o770, "one that is there belongs to whom its owner says"


def test_a_folder_is_attached(call: Call) -> None:
    assert "Which workspace?" in call("model list", code=1).stderr
    call("workspace create -w shop")
    file = Path(call("folder attach -w shop").json["configFile"])
    assert json.loads(file.read_text())["workspace_name"] == "shop"
    assert call("model list").json == []
    Path("below").mkdir()
    assert call("model list --path below").json == [], "folders above are looked at"
    assert "Workspace shop in" in call("model list --verbose").stderr
    assert "no workspace named 'nope'" in call("model list -w nope", code=1).stderr


def test_the_default_workspace_is_meant_where_nothing_names_one(call: Call) -> None:
    assert "no workspace 'default'" in call("model list", code=1).stderr
    call("workspace create -w default")
    assert call("workspace list --query '[].name'").json == ["default"]
    said = call("workspace show --query name")
    assert (said.json, "using 'default'" in said.stderr) == ("default", True)
    assert "not 'other'" in call("workspace show -g other", code=1).stderr, "labels are checked as of any other"
    call("workspace create -w shop")
    call("folder attach -w shop")
    assert call("workspace show --query name").json == "shop", "config.json comes first"


def test_models_are_registered_and_found(shop: Call) -> None:
    first = shop("model register -n factor -p factor.json --tag stage=old -t model.json --run-id r1")
    assert "Registering model factor" in first.stderr
    assert shop("model register -n factor -p factor.json --tag stage=new -o tsv --only-show-errors").stderr == ""
    shop("model register -n other -p factor.json --property made=here")
    metadata = json.loads(Path("model.json").read_text())
    assert metadata == {"modelId": "factor:1", "workspaceName": "shop", "resourceGroupName": "local"}
    assert first.json["runId"] == "r1"
    assert shop(f"model list {IDS}").stdout.split() == ["factor:2", "factor:1", "other:1"]
    assert shop(f"model list --latest {IDS}").stdout.split() == ["factor:2", "other:1"]
    assert shop(f"model list --tag stage {IDS}").stdout.split() == ["factor:2", "factor:1"]
    assert shop(f"model list --tag stage=old {IDS}").stdout.split() == ["factor:1"]
    assert shop(f"model list --property made=here -n other {IDS}").stdout.split() == ["other:1"]
    assert shop(f"model list --run-id r1 {IDS}").stdout.split() == ["factor:1"]


def test_a_model_is_registered_from_a_run(shop: Call) -> None:
    experiment = Experiment(Workspace.get("shop"), "training")
    with experiment.start_logging(snapshot_directory=None) as recorded:
        recorded.upload_file("outputs/factor.json", "factor.json")
    said = shop(f"model register -n factor --asset-path outputs/factor.json --run-id {recorded.id} --tag a=b").json
    assert (said["runId"], said["experimentName"], said["tags"]) == (recorded.id, "training", {"a": "b"})
    wrong = shop(f"model register -n factor --asset-path outputs/none -r {recorded.id}", code=1)
    assert "outputs/none in the set of files" in wrong.stderr
    assert "no run is named" in shop("model register -n factor --asset-path outputs/factor.json", code=1).stderr
    both = shop("model register -n factor --asset-path x -p factor.json", code=1)
    assert "exclude each other" in both.stderr


def test_models_are_changed_and_downloaded(shop: Call) -> None:
    shop("model register -n factor -p factor.json --cc 1 --gb 0.5 --tag stage=old")
    changed = shop("model update -i factor:1 --add-tag seen=yes --remove-tag stage --description 'The first'").json
    assert (changed["tags"], changed["description"]) == ({"seen": "yes"}, "The first")
    assert changed["resourceConfiguration"] == {"cpu": 1.0, "memoryInGB": 0.5, "gpu": None}
    assert "Nothing to update" in shop("model update -i factor:1", code=1).stderr
    shop("model update -i factor:1 --add-property made=here")
    assert "cannot become 'there'" in shop("model update -i factor:1 --add-property made=there", code=1).stderr
    path = Path(shop("model download -i factor:1 -t out").json["downloadPath"])
    assert path.read_text() == "2"
    assert "exists already" in shop("model download -i factor:1 -t out", code=1).stderr
    shop("model download -i factor:1 -t out --overwrite")
    shop("model delete -i factor:1")
    assert "no model named 'factor'" in shop("model show -n factor", code=1).stderr


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("model register -n x", "--model-path"),
        ("model register -n x -p nope.pkl", "nope.pkl"),
        ("model register -n x -p factor.json --tag novalue", "key=value"),
        ("model show", "either --model-id"),
        ("model show -i factor:one", "name:version"),
        ("model deploy -n x", "no entry script"),
        ("model deploy -n x --es gone.py", "gone.py"),
        ("model deploy -n Wrong_Name --es score.py", "Invalid service name"),
        ("model deploy -n ok-name --es score.py --cp vax", "It has: local, aci, aks, aksendpoint"),
        ("model deploy -n ok-name --es score.py --cp aks", "needs a compute target"),
        ("model deploy -n ok-name --es score.py --ct my-cluster", "my-cluster"),
        ("model deploy -n ok-name --es score.py --num-replicas 3", "--num-replicas cannot be given"),
        ("model deploy -n ok-name --es score.py --limit queue=5", "The limits are"),
        ("model deploy -n ok-name --es score.py --primary-key secret", "--auth-enabled true"),
        ("model deploy -n ok-name --es score.py --batching perhaps", "it must be true, false or a number of requests"),
        (
            "model deploy -n ok-name --es score.py --batching 1",
            "batching.max_requests must be between 2 and 1024, not 1",
        ),
        ("model deploy -n ok-name --es score.py --worker-start x", "must be one of spawn, fork"),
        ("model deploy -n ok-name --es score.py --cors-origins example.org", "an origin is a scheme"),
        ("model deploy -n ok-name --es score.py --telemetry acces_log=true", "The settings of telemetry are: metrics,"),
        ("model deploy -n ok-name --es score.py --telemetry access_log", "key=value"),
        ("model deploy -n ok-name --es score.py --tm 0", "limits.scoring_timeout_ms must be above 0, not 0"),
        (
            "model deploy -n ok-name --es score.py --limit max_header_bytes=10",
            "limits.max_header_bytes must be at least 1000, not 10",
        ),
        ("model deploy -n ok-name --es score.py -e env --ed folder", "exclude each other"),
        ("model deploy -n ok-name --es score.py -m gone:1", "'gone'"),
        ("service show -n nope", "WebserviceNotFound"),
        ("service update -n nope --description x", "WebserviceNotFound"),
        ("environment show -n nope", "nope"),
        ("deploy gone.py", "gone.py"),
        ("deploy score.py factor.json --name x!", "Invalid service name"),
        ("deploy score.py 1.pkl", "--name NAME"),
        ("model list --query 'a['", "not valid JMESPath"),
    ],
)
def test_mistakes_are_named(shop: Call, line: str, message: str) -> None:
    said = shop(line, code=1)
    assert message in said.stderr
    assert "inside Modelport" not in said.stderr
    assert said.stdout == ""


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("sevice list", "No such command 'sevice'. Did you mean 'service'?"),
        ("service lst", "No such command 'lst'. Did you mean 'list'?"),
        ("service list --outptu json", "No such option: --outptu (Possible options: --output)"),
    ],
)
def test_misspelt_words_are_answered_with_those_that_were_meant(call: Call, line: str, message: str) -> None:
    assert message in call(line, code=2).stderr


def test_a_missing_model_is_told_before_anything_is_done(call: Call) -> None:
    Path("score.py").write_text("def init():\n    pass\n\n\ndef run(data):\n    return data\n")
    Path("model.pkl").touch()
    said = call("deploy score.py model.pkl modle.pkl", code=1)
    assert said.stderr.startswith("ERROR: Error, unable to find the model path 'modle.pkl'")
    assert "Did you mean 'model.pkl'?" in said.stderr
    call("workspace create -w shop")
    said = call("model register -w shop -n m -p modle.pkl", code=1)
    assert said.stderr.startswith("ERROR: Error, unable to find the model path 'modle.pkl'")


def test_inference_files_and_flags_together(shop: Call) -> None:
    Path("ic.json").write_text('{"entryScript": "gone.py"}')
    assert "gone.py" in shop("model deploy -n x-1 --ic ic.json", code=1).stderr
    Path("ic.json").write_text('{"sourceDirectory": null, "further": 1}')
    said = shop("model deploy -n x-1 -ic ic.json", code=1).stderr
    assert "'further', which is not known" in said
    assert "no entry script" in said


def test_environments(shop: Call) -> None:
    scaffolded = shop("environment scaffold -n mine -d env")
    assert "modelport environment register -d env" in scaffolded.stderr
    assert shop("environment register -d env --query '[name, version]'").json == ["mine", "1"]
    assert shop("environment register -d env --query version").json == "1", "nothing changed"
    file = Path("env/conda_dependencies.yml")
    file.write_text(file.read_text() + "\n# and more\n")
    Path("env/azureml_environment.json").write_text(
        Path("env/azureml_environment.json").read_text().replace("EXAMPLE_VALUE", "another")
    )
    assert shop("environment register -d env --query version").json == "2"
    assert shop("environment list --query '[].[name, version]'").json == [["mine", "2"]]
    assert shop("environment show -n mine -v 1 --query environmentVariables").json == {
        "EXAMPLE_ENV_VAR": "EXAMPLE_VALUE"
    }
    shop("environment download -n mine -d copy --version 2")
    assert shop("environment register -d copy --query version").json == "2"
    shop("environment download -n mine -d copy", code=1)
    shop("environment download -n mine -d copy --overwrite")


def test_the_reference_page_is_what_the_program_says() -> None:
    page = next(parent for parent in Path(__file__).parents if (parent / "docs").is_dir()) / "docs/cli.md"
    made = subprocess.run(
        [sys.executable, "-m", "modelport.cli.reference"], capture_output=True, text=True, check=True
    ).stdout
    assert page.read_text() == made, "run: python -m modelport.cli.reference > docs/cli.md"


def test_completion_knows_commands_and_options(monkeypatch: pytest.MonkeyPatch) -> None:
    def completed(line: str) -> list[str]:
        environ = {"_MODELPORT_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
        ended = subprocess.run(
            [sys.executable, "-c", "from modelport.cli.main import main; main()"],
            env={**environ, "PATH": "/usr/bin"},
            capture_output=True,
            text=True,
        )
        return ended.stdout.split()

    assert "model" in completed("modelport mo")
    assert "deploy" in completed("modelport model de")
    assert "--auth-enabled" in completed("modelport model deploy --auth")
