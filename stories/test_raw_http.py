"""A raw script serves images, forms, files and events to the clients that people use."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path
from random import Random

import httpx
import pytest
from stories.serving import Kitchen, Served, open_kitchen

SCRIPT = """
    import hashlib
    import json
    import os
    import time

    from azureml.contrib.services.aml_request import AMLRequest, rawhttp
    from azureml.contrib.services.aml_response import AMLResponse

    def init():
        pass

    def score_image(request):
        upload = request.files["image"]
        content = upload.read()
        return {
            "name": upload.filename,
            "type": upload.content_type,
            "digest": hashlib.sha256(content).hexdigest(),
            "threshold": float(request.form["threshold"]),
        }

    def events(request):
        def lines():
            for number in range(3):
                yield "data: " + json.dumps({"number": number}) + "\\n\\n"
                while not os.path.exists(request.args["gate"] + str(number)):
                    time.sleep(0.002)
        return AMLResponse(lines(), 200, {"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})

    def rotate(request):
        return AMLResponse(request.get_data(False)[::-1], 200, {"Content-Type": request.headers["Content-Type"]})

    @rawhttp
    def run(request):
        if request.method == "GET":
            return events(request)
        if request.method == "POST" and request.files:
            return score_image(request)
        if request.method == "POST":
            return rotate(request)
        return AMLResponse("bad request", 500)
"""


TEXT = {"Content-Type": "text/plain"}


@pytest.fixture(scope="module")
def kitchen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kitchen]:
    with open_kitchen(tmp_path_factory.mktemp("raw")) as opened:
        yield opened


@pytest.fixture(scope="module")
def served(kitchen: Kitchen) -> Iterator[Served]:
    with kitchen.serve(SCRIPT) as running:
        yield running


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{served.port}", timeout=20, trust_env=False) as opened:
        yield opened


def test_an_image_and_a_field_in_one_form(client: httpx.Client) -> None:
    image = Random(1).randbytes(3_000_000)
    files = {"image": ('a "good" image.png', image, "image/png")}
    answer = client.post("/score", files=files, data={"threshold": "0.5"})
    assert answer.json() == {
        "name": 'a "good" image.png',
        "type": "image/png",
        "digest": hashlib.sha256(image).hexdigest(),
        "threshold": 0.5,
    }


def test_an_image_as_the_body_comes_back_as_one(client: httpx.Client) -> None:
    image = Random(2).randbytes(3_000_000)
    answer = client.post("/score", content=image, headers={"Content-Type": "image/jpeg"})
    assert (answer.headers["content-type"], answer.content) == ("image/jpeg", image[::-1])


def test_a_page_follows_events(client: httpx.Client, tmp_path: Path) -> None:
    with client.stream("GET", "/score", params={"gate": str(tmp_path / "gate")}) as answer:
        assert answer.headers["content-type"] == "text/event-stream"
        seen: list[str] = []
        for line in answer.iter_lines():
            if line:
                (tmp_path / f"gate{len(seen)}").touch()  # only now may the script go on to the next
                seen.append(line)
    assert seen == ['data: {"number": 0}', 'data: {"number": 1}', 'data: {"number": 2}']


def test_health_answers_while_a_stream_is_open(client: httpx.Client, tmp_path: Path) -> None:
    with client.stream("GET", "/score", params={"gate": str(tmp_path / "gate")}) as answer:
        lines = answer.iter_lines()
        next(lines)
        assert client.get("/").text == "Healthy"
        others: list[int] = []
        waiting = threading.Thread(
            target=lambda: others.append(client.post("/score", content=b"x", headers=TEXT).status_code)
        )
        waiting.start()  # there is one worker: it answers when the stream has ended
        for number in range(3):
            (tmp_path / f"gate{number}").touch()
        assert [line for line in lines if line][-1] == 'data: {"number": 2}'
        waiting.join(20)
    assert others == [200]


def test_which_methods_are_routed_to_the_script(client: httpx.Client) -> None:
    assert client.options("/score").text == "bad request"
    assert client.head("/score").status_code == 500  # its own answer, as in v1's server
    assert [client.request(method, "/score").status_code for method in ("PUT", "DELETE", "PATCH")] == [405] * 3
