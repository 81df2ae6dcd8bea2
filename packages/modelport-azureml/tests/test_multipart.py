"""The parser of multipart/form-data, and the files that it gives."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azureml.contrib.services import _multipart
from azureml.contrib.services._forms import Form, parse_form
from azureml.contrib.services._multipart import MOST_HEADER_BYTES, MOST_PARTS, TooMuch
from azureml.contrib.services._uploaded_file import BodyFile

HEAD = b'Content-Disposition: form-data; name="a"'
FILE = b'Content-Disposition: form-data; name="f"; filename="x"'


def parse(body: bytes, boundary: str = "B") -> Form:
    return parse_form(f"multipart/form-data; boundary={boundary}", body)


def quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


letters = st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"])
names = st.text(letters, max_size=20).filter(lambda text: "%22" not in text)
contents = st.one_of(
    st.binary(max_size=200), st.lists(st.sampled_from([b"\r\n", b"--", b"B", b" ", b"x"])).map(b"".join)
)
boundaries = st.from_regex(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]", fullmatch=True)


@given(
    parts=st.lists(st.tuples(names, st.none() | names, contents), max_size=8),
    boundary=boundaries,
    preamble=st.binary(max_size=20),
    epilogue=st.binary(max_size=20),
    padding=st.text(" \t", max_size=3),
)
def test_any_parts_come_back(
    parts: list[tuple[str, str | None, bytes]], boundary: str, preamble: bytes, epilogue: bytes, padding: str
) -> None:
    line = b"--" + boundary.encode()
    if any(line in content for _, _, content in parts) or line in preamble + epilogue:
        return  # whoever sends must choose another boundary
    body = preamble + b"\r\n" if preamble else b""
    for name, filename, content in parts:
        head = f'Content-Disposition: form-data; name="{quoted(name)}"'
        head += "" if filename is None else f'; filename="{quoted(filename)}"'
        body += line + padding.encode() + b"\r\n" + head.encode() + b"\r\n\r\n" + content + b"\r\n"
    form = parse_form(f'Multipart/Form-Data; boundary="{boundary}"', body + line + b"--" + epilogue)
    assert form.fields == [(name, content.decode("utf-8", "replace")) for name, file, content in parts if file is None]
    files = [(name, file.filename, file.read()) for name, file in form.files]
    assert files == [(name, file, content) for name, file, content in parts if file is not None]


@given(st.binary(max_size=300) | st.lists(st.sampled_from([b"--B", b"\r\n", b"--", HEAD, b" ", b"x"])).map(b"".join))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        parse(body)
    except ValueError as error:
        assert "multipart/form-data" in str(error) or "header" in str(error)


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"--B--", []),
        (b"--B--\r\n", []),
        (b"preamble\r\n--B--epilogue", []),
        (b"--B\r\n" + HEAD + b"\r\n\r\n\r\n--B--", [("a", "")]),
        (b"--B\r\n" + HEAD + b"\r\n\r\n--B--", [("a", "")]),  # the empty line is the delimiter's own
        (b"--B \t\r\n" + HEAD + b"\r\n\r\nx\r\n--B\t \r\n" + HEAD + b"\r\n\r\ny\r\n--B--", [("a", "x"), ("a", "y")]),
        (b"--B\r\n" + HEAD + b"\r\n\r\nx\r\n--Bother\r\n--B--", [("a", "x\r\n--Bother")]),
        (b"--Bx\r\n--B\r\n" + HEAD + b"\r\n\r\nx\r\n--B--", [("a", "x")]),
        (b"--B\r\n" + HEAD + b"\r\n\r\nx--B\r\n--B--", [("a", "x--B")]),
        (b"--B\r\n" + HEAD.lower() + b"\r\nX-Other: 1\r\n\r\nx\r\n--B--", [("a", "x")]),
        (b"--B\r\nContent-Disposition: form-data; name=a;\r\n\r\nx\r\n--B--", [("a", "x")]),
        (b'--B\r\nContent-Disposition: form-data; name="%22a%22"\r\n\r\nx\r\n--B--', [('"a"', "x")]),
    ],
)
def test_framing(body: bytes, fields: list[tuple[str, str]]) -> None:
    assert parse(body).fields == fields


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "cut off"),
        (b"--B", "cut off"),
        (b"--B\r\n" + HEAD + b"\r\n\r\nx", "cut off"),
        (b"--B\r\n" + HEAD + b"\r\n\r\nx\r\n--B", "cut off"),
        (b"--B\n" + HEAD + b"\n\nx\n--B", "cut off"),
        (b"--B\r\n" + HEAD + b"\n\nx\n--B--\n", "no end of its headers"),  # the first line has said how lines end
        (b"--B\r\n" + HEAD + b"\r\n--B--", "no end of its headers"),
        (b"--B\r\n" + HEAD + b"\r\n--B\r\n" + HEAD + b"\r\n\r\nx\r\n--B--", "no end of its headers"),
        (b"--B\r\nX: " + b"x" * MOST_HEADER_BYTES + b"\r\n" + HEAD + b"\r\n\r\nx\r\n--B--", "within 16384 bytes"),
    ],
)
def test_what_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(body)


def test_more_parts_than_are_allowed() -> None:
    with pytest.raises(TooMuch, match="more than 1000 parts"):
        parse((b"--B\r\n" + HEAD + b"\r\n\r\nx\r\n") * (MOST_PARTS + 1) + b"--B--")


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"--B\n" + HEAD + b"\n\nx\r\n\n--B--\n", [("a", "x\r\n")]),
        (b"pre\n--B \n" + HEAD + b"\n\nx\n--B\n" + HEAD + b"\nX: y\n\n\n--B--", [("a", "x"), ("a", "")]),
        (b"--B\r\n\r\nx\r\n--B\r\n" + HEAD + b"\r\n\r\ny\r\n--B--", [("a", "y")]),
        (b"--B\r\nContent-Disposition: form-data\r\n\r\nx\r\n--B--", []),
        (b"--B\r\nContent-Disposition: attachment; name=a\r\n\r\nx\r\n--B--", [("a", "x")]),
        (b"--B\r\nno header\r\n" + HEAD + b"\r\n: x\r\n\r\nx\r\n--B--", [("a", "x")]),
        (b"--B\r\nContent-Disposition: form-data;\r\n\tname=a\r\n\r\nx\r\n--B--", [("a", "x")]),
        (b"--B\r\n" + HEAD + b"\r\n" + HEAD.replace(b'a"', b'z"') + b"\r\n\r\nx\r\n--B--", [("a", "x")]),
        (b'--B\r\nContent-Disposition: form-data; name="a\r\n\r\nx\r\n--B--', []),
        (b"--B\r\n" + HEAD + b"\r\nContent-Type: text/plain; charset=ISO-8859-1\r\n\r\n\xe9\r\n--B--", [("a", "é")]),
        (b"--B\r\n" + HEAD + b"\r\nContent-Type: text/plain; charset=utf-16\r\n\r\n\xe9\r\n--B--", [("a", "\ufffd")]),
    ],
)
def test_what_is_not_quite_by_the_rules(body: bytes, fields: list[tuple[str, str]]) -> None:
    """As v1's server reads it."""
    assert parse(body).fields == fields


def test_as_many_parts_as_are_allowed() -> None:
    assert len(parse((b"--B\r\n" + HEAD + b"\r\n\r\nx\r\n") * MOST_PARTS + b"--B--").fields) == MOST_PARTS


@pytest.mark.parametrize("parameter", ["", "; boundary=", '; boundary=""', "; boundary=" + "x" * 71, '; boundary="ü"'])
def test_a_boundary_that_is_none(parameter: str) -> None:
    with pytest.raises(ValueError, match="1 to 70 characters"):
        parse_form("multipart/form-data" + parameter, b"--x--")


@pytest.mark.parametrize(
    ("given_name", "filename"),
    [
        ('"C:\\dir\\new.png"', "C:\\dir\\new.png"),
        ('"a \\"b\\".png"', 'a "b".png'),
        ('"a%22b;c.png"', 'a"b;c.png'),
        ("plain.png", "plain.png"),
        ("\"old.png\"; filename*=UTF-8''%C3%BC%20.png", "ü .png"),
        ("\"old.png\"; filename*=iso-8859-1'de'%FC.png", "ü.png"),
        ("\"old.png\"; filename*=klingon''%C3%BC.png", "ü.png"),
        ("two words.png; size=3", "two"),
    ],
)
def test_file_names(given_name: str, filename: str) -> None:
    check_file_name(f"filename={given_name}", filename)


@pytest.mark.parametrize(
    ("given_name", "filename"),
    [
        ('filename*0="a long "; filename*1="name.png"', "a long name.png"),
        ("filename*1=b; filename*0=a; filename*3=d", "ab"),
        ("filename*0*=utf-8''%C3%BC%20; filename*1=b; filename*2*=%C3%BC.png", "ü bü.png"),
        ("filename*0*=utf-8''%C3; filename*1*=%BC.png", "ü.png"),
        ("filename*0*=iso-8859-1'de'%FC; filename*1*=%E4", "üä"),
        ("filename*0*=klingon''%C3%BC; filename*1*=''", "ü''"),
        ("filename*0*=a%20b", "a b"),
        ("filename*0=a; filename=b", "b"),
        ("filename*0=a; filename*=utf-8''b", "b"),
    ],
)
def test_file_names_in_sections(given_name: str, filename: str) -> None:
    """RFC 2231, 3, as mail libraries write them. Who does not know of sections takes the file for a field."""
    check_file_name(given_name, filename)


@pytest.mark.parametrize("given_name", ["filename*1=a", "filename*0", "filename*a=b", "filename**0=b"])
def test_sections_that_are_none(given_name: str) -> None:
    body = f"--B\r\nContent-Disposition: form-data; name=f; {given_name}\r\n\r\nx\r\n--B--".encode()
    assert parse_form("multipart/form-data; boundary=B", body).fields == [("f", "x")]


def check_file_name(given_name: str, filename: str) -> None:
    head = f"Content-Disposition: form-data; name=f; {given_name}\r\nContent-Type: Image/PNG; q=1"
    _, file = parse(b"--B\r\n" + head.encode() + b"\r\n\r\nx\r\n--B--").files[0]
    assert (file.filename, file.content_type, file.mimetype) == (filename, "Image/PNG; q=1", "image/png")


def test_a_large_file_is_not_copied(tmp_path: Path) -> None:
    size = 20_000_000
    body = b"--B\r\n" + FILE + b"\r\n\r\n" + b"\r\n--b" * (size // 5) + b"\r\n--B--"
    tracemalloc.start()
    _, file = parse(body).files[0]
    file.save(str(tmp_path / "saved"))
    first = file.read(100)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(first) == 100
    assert (tmp_path / "saved").stat().st_size == file.content_length == size
    assert peak < 200_000


@given(content=st.binary(max_size=60), steps=st.lists(st.tuples(st.sampled_from("rlsiRe"), st.integers(-5, 70))))
def test_a_file_of_a_form_reads_like_any_file(content: bytes, steps: list[tuple[str, int]]) -> None:
    ours, model = BodyFile(b"before" + content + b"after\n", 6, 6 + len(content)), io.BytesIO(content)
    for what, number in steps:
        if what == "r":
            assert ours.read(number) == model.read(number)
        elif what == "l":
            assert ours.readline(number) == model.readline(number)
        elif what == "s":
            assert ours.seek(abs(number)) == model.seek(abs(number))
        elif what == "e":
            assert ours.seek(abs(number), io.SEEK_END) == model.seek(abs(number), io.SEEK_END)
        elif what == "i":
            mine, its = bytearray(abs(number)), bytearray(abs(number))
            assert ours.readinto(mine) == model.readinto(its)
            assert mine == its
        else:
            assert list(ours) == list(model)
        assert ours.tell() == model.tell()


def test_a_name_may_be_extended() -> None:
    """As requests wrote names of 2019 that are not ASCII (RFC 2231)."""
    body = b"--B\r\nContent-Disposition: form-data; name*=utf-8''%C3%A9\r\n\r\n1\r\n--B--\r\n"
    assert parse_form("multipart/form-data; boundary=B", body).fields == [("é", "1")]


def test_a_file_of_a_form_is_never_read_before_its_beginning() -> None:
    file = BodyFile(b"secret content", 7, 14)
    with pytest.raises(ValueError, match="negative"):
        file.seek(-1)
    assert file.seek(-8, io.SEEK_END) == 0, "as io.BytesIO does"
    assert file.read(1) == b"c"
    assert file.seek(-2, io.SEEK_CUR) == 0
    assert not zipfile.is_zipfile(cast(Any, file)), "which looks for the end of an archive before the beginning"
    file.seek(0)
    assert io.TextIOWrapper(cast(Any, file), encoding="ascii").read() == "content"


def test_the_limits_are_what_they_are_said_to_be() -> None:
    assert (_multipart.MOST_PARTS, _multipart.MOST_HEADER_BYTES) == (1000, 16 * 1024)
