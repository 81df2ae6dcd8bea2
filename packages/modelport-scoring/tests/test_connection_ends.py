"""How connections end: what a client is told before that, and what it still gets."""

from __future__ import annotations

from scoring_services import Services, read_all
from tls_services import secured, with_certificate

UPLOAD = b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n"

# --- over TLS ---------------------------------------------------------------------------------------------------------


def test_refusals_arrive_over_tls_and_deadlines_go_on_to_hold(services: Services) -> None:
    service, context = with_certificate(services, limits={"request_timeout_s": 0.3, "max_body_bytes": 1000})

    def answer(data: bytes) -> bytes:
        with secured(service, context) as channel:
            channel.sendall(data)
            return read_all(channel)

    assert answer(b"nonsense\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    assert answer(UPLOAD + b"x" * 500_000).startswith(b"HTTP/1.1 413 ")
    for _ in range(3):
        assert answer(b"GET / HTTP/1.1\r\nHost: ").startswith(b"HTTP/1.1 408 ")
    assert "Traceback" not in service.supervisor_log
