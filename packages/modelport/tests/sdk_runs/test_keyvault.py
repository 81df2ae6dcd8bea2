"""Secrets of a workspace."""

from __future__ import annotations

import stat

import pytest

from modelport import Workspace
from modelport.exceptions import StoreException, UserErrorException


def test_secrets_are_kept_encrypted(workspace: Workspace) -> None:
    vault = workspace.get_default_keyvault()
    assert vault.list_secrets() == []
    vault.set_secret("password", "open sesame")
    vault.set_secrets({"one": "1", "two": "2"})
    vault.set_secret("one", "changed")
    assert vault.get_secret("password") == "open sesame"
    assert vault.get_secrets(["one", "none"]) == {"one": "changed", "none": None}
    assert vault.list_secrets() == [{"name": "one"}, {"name": "password"}, {"name": "two"}]
    vault.delete_secret("two")
    vault.delete_secrets(["none", "one"])
    assert [each["name"] for each in vault.list_secrets()] == ["password"]
    files = [path for path in (workspace.folder / "keyvault").iterdir() if path.name != ".lock"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert stat.S_IMODE((workspace.folder / "keyvault").stat().st_mode) == 0o700
    assert not any(b"sesame" in path.read_bytes() for path in files)
    assert "sesame" not in repr(vault)
    for name, value in (("", "x"), ("x", 5)):
        with pytest.raises(UserErrorException, match="a name and a text") as refused:
            vault.set_secret(name, value)  # type: ignore[arg-type]
        assert "5" not in str(refused.value)


def test_a_key_that_does_not_fit(workspace: Workspace) -> None:
    vault = workspace.get_default_keyvault()
    vault.set_secret("password", "open sesame")
    key = workspace.folder / "keyvault/secrets.key"
    kept = key.read_bytes()
    key.write_bytes(kept[::-1])
    with pytest.raises(StoreException, match="cannot be read"):
        vault.get_secret("password")
    key.write_bytes(kept)
    assert vault.get_secret("password") == "open sesame"
