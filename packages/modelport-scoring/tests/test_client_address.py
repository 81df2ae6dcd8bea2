"""What a raw script learns of where a request comes from."""

from __future__ import annotations

from modelport_scoring.settings.traffic import Traffic
from scoring_services import Services

SCRIPT = """
from azureml.contrib.services.aml_request import rawhttp

def init():
    pass

@rawhttp
def run(request):
    return [request.remote_addr, request.access_route, len(request.headers["X-Ms-Request-Id"])]
"""


def test_a_raw_script_gets_the_address_of_its_client(services: Services) -> None:
    service = services.start(SCRIPT)
    for _ in range(2):  # the head is known the second time
        assert service.score("x").json == ["127.0.0.1", ["127.0.0.1"], 36]
    assert service.score("x", headers={"X-Ms-Request-Id": "mine"}).json == ["127.0.0.1", ["127.0.0.1"], 4]
    behind = service.score("x", headers={"X-Forwarded-For": "192.0.2.7, 192.0.2.8"}).json
    assert behind == ["127.0.0.1", ["192.0.2.7", "192.0.2.8"], 36]
    service.control.host(service.revision(2, SCRIPT))
    service.control.split(Traffic(weights={2: 100}))
    assert service.score("x").json == ["127.0.0.1", ["127.0.0.1"], 36]
