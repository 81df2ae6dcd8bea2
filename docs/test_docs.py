"""The docs say what the code says."""

from __future__ import annotations

import ast
import inspect
import itertools
import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from modelport import LocalWebservice, exceptions
from modelport.domain.failures import Phase
from modelport.sdk.aci import AciWebservice
from modelport.sdk.aks import AksWebservice
from modelport.sdk.aks_endpoint import AksEndpoint
from modelport_scoring import Autoscale, Batching, ErrorMode, FrontEnd, Limits, ServiceSettings, Traffic, WorkerStart
from modelport_scoring.fetch.settings import BundleToFetch, EnvironmentToFetch, FetchSettings
from modelport_scoring.router.settings import RouterSettings, UpstreamSettings
from modelport_scoring.settings.service import LONGEST_WAIT_MS, MOST_TOGETHER

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("packages/*/README.md")])


def first_column(page: str, heading: str) -> list[str]:
    """The names in backticks in the first column of the first table below a heading."""
    text = (ROOT / page).read_text()
    below = text[text.index(heading) + len(heading) :].split("\n#", 1)[0]
    return [
        name
        for row in below.splitlines()
        if row.startswith("| `")
        for name in re.findall(r"`(\w+)`", row.split("|")[1])
    ]


def test_every_limit_is_documented_with_its_default() -> None:
    section = (ROOT / "docs/settings.md").read_text().split("### Limits\n")[1].split("\n### ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| ([\d.]+) \|", section, re.MULTILINE))
    assert rows == {field.name: str(field.default) for field in msgspec.structs.fields(Limits)}


@pytest.mark.parametrize(
    ("settings", "page"),
    [
        (RouterSettings, "architecture/14-router.md"),
        (UpstreamSettings, "architecture/14-router.md"),
        (FetchSettings, "packages.md"),
        (BundleToFetch, "packages.md"),
        (EnvironmentToFetch, "packages.md"),
    ],
)
def test_every_setting_of_a_program_of_containers_is_documented(settings: type[msgspec.Struct], page: str) -> None:
    text = (ROOT / "docs" / page).read_text()
    assert [name for name in settings.__struct_fields__ if f'"{name}"' not in text] == []


def test_every_field_of_traffic_is_documented() -> None:
    fields = [field.name for field in msgspec.structs.fields(Traffic)]
    assert first_column("docs/settings.md", "### Traffic") == fields


def test_every_setting_of_the_scoring_server_is_documented() -> None:
    documented = {*first_column("docs/settings.md", "## Of a service\n")}
    documented |= {*first_column("docs/settings.md", "### The file of the scoring server\n")}
    assert [field.name for field in msgspec.structs.fields(ServiceSettings) if field.name not in documented] == []


def test_every_parameter_of_a_deployment_configuration_is_documented() -> None:
    labels = {"description", "tags", "properties"}
    parameters = set(inspect.signature(LocalWebservice.deploy_configuration).parameters) - labels
    assert set(first_column("docs/settings.md", "## Of a service\n")) == parameters


def test_every_parameter_of_a_service_of_a_cloud_is_documented() -> None:
    kinds = (AciWebservice, AksWebservice, AksEndpoint)
    parameters = {name for kind in kinds for name in inspect.signature(kind.deploy_configuration).parameters}
    assert set(first_column("docs/settings.md", "## Of a service that was meant for a cloud\n")) == parameters


def test_every_front_end_is_documented() -> None:
    assert first_column("docs/settings.md", "### Front ends\n") == [front_end.value for front_end in FrontEnd]


def test_batching_is_documented_with_its_defaults() -> None:
    section = (ROOT / "docs/settings.md").read_text().split("### Batching\n")[1].split("\n### ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| ([\d.]+) \|", section, re.MULTILINE))
    assert rows == {field.name: str(field.default) for field in msgspec.structs.fields(Batching)}
    assert str(MOST_TOGETHER) in section
    assert str(LONGEST_WAIT_MS) in section


def test_autoscaling_is_documented_with_its_defaults() -> None:
    section = (ROOT / "docs/settings.md").read_text().split("### Autoscaling\n")[1].split("\n### ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| ([\d.]+) \|", section, re.MULTILINE))
    assert rows == {field.name: str(field.default) for field in msgspec.structs.fields(Autoscale)}


def test_every_worker_start_is_documented() -> None:
    assert first_column("docs/settings.md", "### Worker starts") == [start.value for start in WorkerStart]


def test_every_error_mode_is_documented() -> None:
    assert first_column("docs/settings.md", "### Error modes") == [mode.value for mode in ErrorMode]


def test_every_exception_is_documented_below_its_parent() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \|", (ROOT / "docs/errors.md").read_text(), re.MULTILINE)
    documented = dict(rows)
    actual = {name: getattr(exceptions, name).__bases__[0].__name__ for name in exceptions.__all__}
    assert documented == actual


def test_every_phase_is_documented() -> None:
    text = (ROOT / "docs/errors.md").read_text()
    assert [phase for phase in Phase if f"`{phase}`" not in text] == []


@pytest.mark.parametrize("package", ["modelport", "modelport-scoring"])
def test_every_dependency_has_a_reason(package: str) -> None:
    project = tomllib.loads((ROOT / f"packages/{package}/pyproject.toml").read_text())["project"]
    optional = project.get("optional-dependencies", {}).values()
    needed = {re.split(r"[<>=!~ ]", line)[0] for line in itertools.chain(project["dependencies"], *optional)}
    section = (ROOT / "docs/dependencies.md").read_text().split(f"## {package}\n")[1].split("\n## ")[0]
    rows = [row.split("|")[1] for row in section.splitlines() if row.startswith("| ")][1:]
    documented = {name.strip() for row in rows for name in row.split(",") if not name.strip().startswith("-")}
    assert documented == needed


@pytest.mark.parametrize("package", ["modelport-worker", "modelport-azureml"])
def test_what_runs_in_other_peoples_environments_has_no_dependencies(package: str) -> None:
    project = tomllib.loads((ROOT / f"packages/{package}/pyproject.toml").read_text())["project"]
    assert project["dependencies"] == []


def test_one_version_for_all() -> None:
    versions = {
        tomllib.loads(path.read_text())["project"]["version"] for path in ROOT.glob("packages/*/pyproject.toml")
    }
    assert len(versions) == 1


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    dead = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert dead == []


def test_the_path_of_one_request_is_in_the_code() -> None:
    """Each call that the page names is defined in the file that it names."""
    section = (ROOT / "docs/architecture/03-data-plane.md").read_text().split("## The path of one request\n")[1]
    rows = re.findall(r"^\| .* \| (.*) \| `(.*\.py)` \|$", section.split("\n## ")[0], re.MULTILINE)
    named = [(place, call) for calls, place in rows for call in re.findall(r"`([\w.]+)`", calls)]
    assert len(named) > 40
    assert [(place, call) for place, call in named if call not in definitions(place)] == []


def definitions(place: str) -> set[str]:
    """The functions of a module of the data plane, and the methods, as ``Class.method``."""
    distribution = "worker" if place.startswith("modelport_worker/") else "scoring"
    path = f"packages/modelport-{distribution}/src/modelport_{distribution}/{place.removeprefix('modelport_worker/')}"
    names: set[str] = set()
    for node in ast.parse((ROOT / path).read_text()).body:
        if isinstance(node, ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.ClassDef):
            names.update(f"{node.name}.{each.name}" for each in node.body if isinstance(each, ast.FunctionDef))
    return names


def test_each_part_of_the_scoring_server_is_told_where_it_lies() -> None:
    """Its README's table names every folder, and no file or module that is not there."""
    distribution = ROOT / "packages/modelport-scoring"
    package = distribution / "src/modelport_scoring"
    rows = re.findall(r"^\| (`.*`) \| (.*) \|$", (distribution / "README.md").read_text(), re.MULTILINE)
    named = {place: words for places, words in rows for place in re.findall(r"`([\w./]+)`", places)}
    assert {place for place in named if place.endswith("/")} == {
        f"{folder.parent.name}/" for folder in package.glob("*/__init__.py")
    }
    modules = {path.stem for path in package.rglob("*.py")}
    missing = [place for place in named if not (package / place).exists()]
    missing += [name for words in named.values() for name in re.findall(r"`(\w+)`", words) if name not in modules]
    assert missing == []


def test_each_module_of_the_worker_is_told_of() -> None:
    modules = {path.stem for path in (ROOT / "packages/modelport-worker/src/modelport_worker").glob("*.py")}
    assert set(first_column("packages/modelport-worker/README.md", "| module | does |")) == modules - {"__init__"}


def test_no_lock_file_names_a_host() -> None:
    assert not re.search(r"https?:|\bfile:", (ROOT / "constraints.txt").read_text())
