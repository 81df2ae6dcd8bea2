"""Names of v1 followed through Python code."""

from __future__ import annotations

import pytest

from modelport.usecases.compatibility import Status

from .conftest import Project, lines


def test_names_are_followed_through_imports_aliases_and_chains(project: Project) -> None:
    found = project.found(
        """
        import azureml.core
        import azureml.core.webservice as web
        from azureml.core.model import Model as M
        from azureml.core import Workspace

        print(azureml.core.VERSION)
        print(Workspace.from_config().models["churn"].download("."))
        ws = Workspace.get(name="w")
        web.Webservice(ws, "s").get_logs()
        M.register(ws, "model.pkl", "m").add_tags({})
        """
    )
    assert {name: finding.place.line for name, finding in found.items()} == {
        "Workspace.from_config": 7,
        "Workspace.models": 7,
        "Model.download": 7,
        "Workspace.get": 8,
        "Webservice(…)": 9,
        "Webservice.get_logs": 9,
        "Model.register": 10,
        "Model.add_tags": 10,
    }
    assert {finding.status for finding in found.values()} == {Status.SAME}


def test_objects_are_followed_through_the_code(project: Project) -> None:
    found = project.found(
        """
        from azureml.core import Workspace
        from azureml.core.model import Model

        ws = Workspace.from_config()
        for model in Model.list(ws):
            model.serialize()
        for name, service in ws.webservices.items():
            service.get_keys()
        first, *rest = [m.add_properties({}) for m in ws.models.values()]
        with open("x") as file:
            latest = ws.models.get("churn")
        if latest is not None and latest.delete():
            pass
        key, other = ws.webservices["s"].get_keys()
        chosen = ws.models["a"] if name else None
        chosen.update()
        """
    )
    assert {"Model.serialize", "Webservice.get_keys", "Model.add_properties", "Model.delete", "Model.update"} <= set(
        found
    )


def test_functions_get_what_they_are_called_with(project: Project) -> None:
    found = project.found(
        """
        import azureml.core

        def connected():
            return azureml.core.Workspace.from_config()

        def newest(space, name="churn"):
            def inner():
                return space.models[name]
            return inner()

        class Release:
            def __init__(self, workspace):
                self.space = workspace

            def keys(self):
                return self.space.webservices["s"].regen_key("primary")

        newest(connected()).add_tags({})

        def never_called(ws: "azureml.core.Workspace", run, unknown):
            ws.write_config()
            unknown.register_everything()
        """
    )
    assert {"Model.add_tags", "Webservice.regen_key", "Workspace.write_config"} <= set(found)
    assert not any("register_everything" in subject for subject in found)


def test_other_files_of_the_project_are_known_and_reported_once(project: Project) -> None:
    project.write(
        "tools/space.py", "from azureml.core import Workspace\ndef get():\n    return Workspace.from_config()\n"
    )
    project.write("main.py", "from tools.space import get\nget().models['m'].delete()\n")
    project.write("circle.py", "from circle2 import x\ny = 1\n")
    project.write("circle2.py", "from circle import y\nx = 1\n")
    assert lines(project.report()) == [
        "main.py:2 Workspace.models same",
        "main.py:2 Model.delete same",
        "tools/space.py:3 Workspace.from_config same",
    ]


def test_keywords_without_effect_are_named(project: Project) -> None:
    found = project.found(
        """
        from azureml.core import Workspace
        Workspace.create("w", auth=None, exist_ok=True, container_registry="r", hbi_workspace=True)
        """
    )
    finding = found["Workspace.create"]
    assert finding.status is Status.DIFFERS
    assert "container_registry: without effect" in finding.note
    assert "hbi_workspace: without effect" in finding.note
    assert "auth" not in finding.note, "None asks for nothing"


def test_what_a_positional_argument_is_counts(project: Project) -> None:
    found = project.found("from azureml.core import Workspace\nWorkspace.from_config('.', object())\n")
    assert "auth: recorded" in found["Workspace.from_config"].note
    found = project.found("from azureml.core import Workspace\nWorkspace.from_config('.', None)\n")
    assert "auth" not in found["Workspace.from_config"].note, "None asks for nothing"


def test_functions_that_call_themselves_end(project: Project) -> None:
    found = project.found(
        """
        def first(ws, depth):
            ws.write_config()
            return second(ws, depth - 1)

        def second(ws, depth):
            return first(ws, depth) if depth else ws.models["m"]

        first(None, 3).delete()
        """
    )
    assert {"Workspace.write_config", "Workspace.models"} <= set(found)


def test_what_is_not_done_says_why_and_what_instead(project: Project) -> None:
    found = project.found(
        """
        from azureml.train.hyperdrive import HyperDriveConfig, normal
        from azureml.pipeline.steps import PythonScriptStep as Step
        from azureml.core import Workspace, Environment, Nothing
        from azureml.automl.core import shared
        import azureml.nowhere
        from azure.ai.ml import MLClient

        ws = Workspace.from_config()
        HyperDriveConfig(run_config=None)
        Step(name="x")
        ws.set_connection('n', 'c', 't', 'a', 'v')
        ws.frobnicate()
        Environment.get(ws, "AzureML-Minimal")
        Environment.get(ws, "mine")
        ws.update(image_build_compute="x", unheard_of=1)
        """
    )
    assert {finding.status for name, finding in found.items() if not name.startswith(("Environment", "Workspace"))} == {
        Status.ABSENT
    }
    assert "normal" not in found, "an import alone works"
    assert "Train with your own code" in found["HyperDriveConfig"].note
    assert "pipelines" in found["PythonScriptStep"].note
    assert "pip's settings" in found["Workspace.set_connection"].note
    assert "no such member" in found["Workspace.frobnicate"].note
    assert "nothing of this name" in found["azureml.core.Nothing"].note
    assert found["azureml.nowhere"].place.line == 5
    assert "does not train" in found["azureml.automl.core"].note
    assert "version 2" in found["azure.ai.ml"].note
    assert "unheard_of" in found["Workspace.update"].note
    assert found["Workspace.update"].status is Status.NOT_YET


def test_a_curated_environment_is_not_here(project: Project) -> None:
    found = project.found("from azureml.core import Environment\nEnvironment.get(ws, name='AzureML-Minimal')\n")
    assert found["Environment.get"].status is Status.ABSENT
    assert "from_conda_specification" in found["Environment.get"].note
    found = project.found("from azureml.core import Environment\nEnvironment.get(ws, name='mine')\n")
    assert found["Environment.get"].status is Status.SAME


def test_entry_scripts(project: Project) -> None:
    found = project.found(
        """
        from sklearn.externals import joblib
        from azureml.core.model import Model

        def init():
            global model
            model = joblib.load(Model.get_model_path("churn"))
            open("/var/azureml-app/x")

        def run(data):
            return model.predict(data)
        """
    )
    assert found["init() and run()"].status is Status.SAME
    assert "since 0.23" in found["from sklearn.externals import joblib"].note
    assert found["Model.get_model_path"].status is Status.SAME
    assert "AML_APP_ROOT" in found["/var/azureml-app"].note
    found = project.found("def init(): pass\ndef run(*args): pass\n")
    assert found["init() and run()"].status is Status.DIFFERS


def test_attributes_that_are_set_or_read(project: Project) -> None:
    found = project.found(
        """
        from azureml.core import Environment
        env = Environment("e")
        env.docker.enabled = True
        env.python.conda_dependencies.add_pip_package("six")
        """
    )
    assert found["DockerSection.enabled"].status is Status.DIFFERS
    assert "CondaDependencies.add_pip_package" in found
    assert "Environment.docker" not in found, "it is on the way"


def test_texts_with_commands_and_addresses(project: Project) -> None:
    found = project.found(
        """
        import os, requests
        os.system("az ml model list -w w")
        requests.post("http://x.westeurope.azurecontainer.io/score")
        """
    )
    assert found["az ml model list"].place.line == 2
    assert found["http://x.westeurope.azurecontainer.io/score"].status is Status.DIFFERS


@pytest.mark.parametrize("text", ["print 'azureml'\n", "from azureml.core import (\n"])
def test_what_is_not_python_is_said(text: str, project: Project) -> None:
    project.write("old.py", text)
    project.write("unrelated.py", "print 'hello'\n")
    report = project.report()
    assert [file for file, _ in report.unread] == ["old.py"]
    assert not report.is_covered


def test_a_script_in_another_encoding(project: Project) -> None:
    text = "# -*- coding: latin-1 -*-\nfrom azureml.core import Workspace\nWorkspace.from_config()  # \xe9\n"
    (project.folder / "latin.py").write_bytes(text.encode("latin-1"))
    (project.folder / "broken.py").write_bytes(b"azure = '\xff'\n")
    report = project.report()
    assert lines(report) == ["latin.py:3 Workspace.from_config same"]
    assert [file for file, _ in report.unread] == ["broken.py"]
