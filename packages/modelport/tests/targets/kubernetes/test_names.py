"""Names: always such as Kubernetes takes, and never two alike."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from modelport.targets.kubernetes.names import Names, label_value, namespace_of

SERVICE = st.from_regex(r"[a-z]([-a-z0-9]{1,30}[a-z0-9])", fullmatch=True)
WORKSPACE = st.from_regex(r"[A-Za-z0-9][-A-Za-z0-9_.]{1,63}", fullmatch=True)
DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


def is_label(name: str, *, longest: int = 63) -> bool:
    return len(name) <= longest and DNS_LABEL.fullmatch(name) is not None


@given(workspace=WORKSPACE, id=st.uuids())
def test_namespaces(workspace: str, id: object) -> None:
    assert is_label(namespace_of(workspace, str(id)))


@given(service=SERVICE, version=SERVICE, is_shared=st.booleans())
def test_names_of_a_service(service: str, version: str, is_shared: bool) -> None:
    names = Names(service=service, workspace_id="1", namespace="n", is_shared=is_shared)
    assert is_label(names.base, longest=46)
    assert is_label(names.version(version), longest=46)
    assert is_label(names.settings_secret(10**9))
    assert is_label(names.model_data_claim)


@given(first=st.tuples(SERVICE, SERVICE), second=st.tuples(SERVICE, SERVICE), is_shared=st.booleans())
def test_no_two_are_alike(first: tuple[str, str], second: tuple[str, str], is_shared: bool) -> None:
    one, other = (
        Names(service=service, workspace_id="1", namespace="n", is_shared=is_shared) for service, _ in (first, second)
    )
    if first != second:
        assert one.version(first[1]) != other.version(second[1])
    if first[0] != second[0]:
        assert one.base != other.base
        assert {one.settings_secret(1), one.tls_secret, one.router_secret}.isdisjoint(
            {other.settings_secret(1), other.settings_secret(11), other.tls_secret, other.router_secret}
        )


def test_a_version_is_not_another_service() -> None:
    """``aaa-bbb`` and the version ``bbb`` of ``aaa``, and two ways to read ``aaa-bbb-ccc``."""
    names = {
        Names(service=service, workspace_id="1", namespace="n", is_shared=False).version(version)
        for service, version in (("aaa-bbb", "ccc"), ("aaa", "bbb-ccc"))
    }
    assert len(names) == 2
    assert "aaa-bbb" not in names


@given(text=st.one_of(WORKSPACE, st.text(max_size=100)), other=WORKSPACE)
def test_values_of_labels(text: str, other: str) -> None:
    value = label_value(text)
    assert len(value) <= 63
    assert re.fullmatch(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?", value)
    assert text == other or value != label_value(other)
