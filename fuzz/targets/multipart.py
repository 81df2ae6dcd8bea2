"""Bodies of forms, as a script's ``form`` and ``files`` read them.

An input is a content type, a line end, and the body. A damaged form is an empty one, and nothing is raised; nothing is
made up: what a form holds was in the body; and the parts that it has come out whole when they are written as a browser
would.
"""

from __future__ import annotations

from azureml.contrib.services.aml_request import AMLRequest

BOUNDARY = b"a-boundary-of-our-own"


def check_one(data: bytes) -> None:
    content_type, _, body = data.partition(b"\n")
    request = read(content_type.decode("latin-1"), body)
    try:
        assert request.headers
    except ValueError:  # what no server lets pass
        return
    fields, files = list(request.form.items()), list(request.files.items())
    if request.mimetype == "multipart/form-data":
        contents = [upload.read() for _, upload in files]
        assert all(content in body for content in contents)
        assert sum(map(len, contents)) + sum(len(value) for _, value in fields) <= len(body)
    check_round_trip(body)


def read(content_type: str, body: bytes) -> AMLRequest:
    return AMLRequest("POST", "/score", headers=[("Content-Type", content_type)], body=body)


def check_round_trip(content: bytes) -> None:
    """Any bytes without the boundary are a file."""
    if BOUNDARY in content:
        return
    part = b'--%b\r\nContent-Disposition: form-data; name="a"; filename="b"\r\n\r\n%b\r\n--%b--\r\n'
    form = read(f"multipart/form-data; boundary={BOUNDARY.decode()}", part % (BOUNDARY, content, BOUNDARY))
    assert form.files["a"].read() == content
