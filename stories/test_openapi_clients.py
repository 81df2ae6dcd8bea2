"""Clients that openapi-generator makes of the documents, in two languages, used as their users would.

`make test-clients` installs the generator and what its clients need below .clients/, and runs these stories.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import textwrap
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from stories.serving import open_kitchen

from modelport import InferenceConfig, LocalWebservice, Model, Webservice

TOOLS = os.environ.get("MODELPORT_CLIENT_TOOLS")
pytestmark = [
    pytest.mark.skipif(TOOLS is None, reason="the client generator is not installed; make test-clients does it"),
    pytest.mark.skipif(shutil.which("java") is None, reason="the client generator needs Java"),
    pytest.mark.slow,
    pytest.mark.timeout(300),
]

KEY = "the-key-of-the-clients"
VERSIONS = ["2", "3", "3.1"]

NUMPY = """
import numpy as np
from inference_schema.schema_decorators import input_schema, output_schema
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType

def init():
    pass

@input_schema("data", NumpyParameterType(np.array([[1.5, 2.0, 3.0]])))
@output_schema(NumpyParameterType(np.array([6.5])))
def run(data):
    return data.sum(axis=1).tolist()
"""

PANDAS = """
import pandas as pd
from inference_schema.schema_decorators import input_schema, output_schema
from inference_schema.parameter_types.pandas_parameter_type import PandasParameterType
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType

def init():
    pass

@input_schema("data", PandasParameterType(pd.DataFrame({"age": [63], "height": [1.75], "name": ["Ada"]})))
@output_schema(StandardPythonParameterType([{"name": "Ada", "score": 1.5}]))
def run(data):
    scored = data.assign(score=data["age"] * data["height"])
    return scored[["name", "score"]].to_dict("records")
"""

SCRIPTS = {"numpy": NUMPY, "pandas": PANDAS}
INPUTS: dict[str, Any] = {
    "numpy": {"data": [[1.0, 2.5, 3.0], [0.5, 0.25, 0.125]]},
    "pandas": {"data": [{"age": 40, "height": 1.5, "name": "Grace"}, {"age": 36, "height": 2.0, "name": "Ada"}]},
}
SCORES: dict[str, Any] = {
    "numpy": [6.5, 0.875],
    "pandas": [{"name": "Grace", "score": 60.0}, {"name": "Ada", "score": 72.0}],
}

PYTHON_USER = """
    import json, sys
    import client

    host, key, payload = sys.argv[1:]

    def session(key):
        settings = client.Configuration(host=host, api_key={"Bearer": key}, api_key_prefix={"Bearer": "Bearer"})
        return client.ApiClient(settings)

    api = session(key)
    told = {"health": client.HealthApi(api).service_health_check()}
    scores = client.ScoringApi(api).run_ml_service(client.ServiceInput.from_json(payload))
    told["scores"] = api.sanitize_for_serialization(scores)
    told["document"] = client.SpecificationApi(api).get_swagger_spec()
    try:
        client.ScoringApi(session("wrong")).run_ml_service(client.ServiceInput.from_json(payload))
    except client.ApiException as error:
        told["refused"] = error.status
    print(json.dumps(told))
"""

TYPESCRIPT_USER = """
    import { Configuration, HealthApi, ResponseError, ScoringApi, SpecificationApi } from "./generated";

    declare const process: { argv: string[] };
    const [host, key, payload] = process.argv.slice(2);
    const session = (key: string) => new Configuration({ basePath: host, apiKey: () => `Bearer ${key}` });

    async function main() {
        const health = await new HealthApi(session(key)).serviceHealthCheck();
        const request = { NAMED: JSON.parse(payload) };
        const scores = await new ScoringApi(session(key)).runMLService(request);
        const document = await new SpecificationApi(session(key)).getSwaggerSpec();
        let refused: number | undefined;
        try {
            await new ScoringApi(session("wrong")).runMLService(request);
        } catch (error) {
            if (error instanceof ResponseError) refused = error.response.status;
        }
        console.log(JSON.stringify({ health, scores, document, refused }));
    }

    main();
"""


@pytest.fixture(scope="module", params=list(SCRIPTS))
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Webservice]:
    """A service that asks for a key; its name is the kind of its data."""
    folder = tmp_path_factory.mktemp("clients")
    script = folder / "score.py"
    script.write_text(SCRIPTS[request.param])
    with open_kitchen(folder) as kitchen:
        configuration = LocalWebservice.deploy_configuration(auth_enabled=True, primary_key=KEY)
        inference = InferenceConfig(entry_script=str(script))
        service = Model.deploy(kitchen.workspace, request.param, [], inference, configuration)
        service.wait_for_deployment()
        yield service


@pytest.mark.parametrize("version", VERSIONS)
def test_a_python_client(service: Webservice, tmp_path: Path, version: str) -> None:
    generate(service, version, language="python", folder=tmp_path, options=["--package-name", "client"])
    user = write(tmp_path / "user.py", PYTHON_USER)
    check(service, run([tool("venv/bin/python"), "-W", "error", user, *told_to(service)]))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_typescript_client(service: Webservice, tmp_path: Path, version: str) -> None:
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    generate(service, version, language="typescript-fetch", folder=tmp_path / "generated", options=[])
    named = "serviceInputPayload" if version == "2" else "serviceInput"  # 3 gives a body no name
    user = write(tmp_path / "user.ts", TYPESCRIPT_USER.replace("NAMED", named))
    strict = ["--strict", "--target", "es2020", "--module", "commonjs", "--lib", "es2020,dom"]
    run([tool("node_modules/.bin/tsc"), *strict, "--outDir", str(tmp_path / "built"), user])
    check(service, run(["node", str(tmp_path / "built" / "user.js"), *told_to(service)]))


def check(service: Webservice, output: str) -> None:
    told = json.loads(output)
    assert told["health"] == "Healthy"
    assert told["scores"] == SCORES[service.name]
    assert told["document"]["info"]["title"] == service.name
    assert told["refused"] == 401


def told_to(service: Webservice) -> list[str]:
    """The arguments of a user's program."""
    return [address(service), KEY, json.dumps(INPUTS[service.name])]


def address(service: Webservice) -> str:
    return f"http://127.0.0.1:{service.port}"


def generate(service: Webservice, version: str, *, language: str, folder: Path, options: list[str]) -> None:
    """Have the generator make a client of the document that the service gives."""
    asked = urllib.request.Request(
        f"{address(service)}/swagger.json?version={version}", headers={"Authorization": f"Bearer {KEY}"}
    )
    document = folder.parent / f"document-{version}.json"
    with urllib.request.urlopen(asked, timeout=20) as response:
        document.write_bytes(response.read())
    run(
        [
            tool("venv/bin/openapi-generator-cli"),
            "generate",
            "-i",
            str(document),
            "-g",
            language,
            "-o",
            str(folder),
            *options,
        ]
    )


def tool(path: str) -> str:
    assert TOOLS is not None
    return str(Path(TOOLS) / path)


def write(path: Path, text: str) -> str:
    path.write_text(textwrap.dedent(text))
    return str(path)


def run(command: list[str]) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout
