"""The secrets of a workspace (azureml-v1 reference, 2.12)."""

from typing import Any, Dict, Iterable, List, Optional


class Keyvault:
    """Names and secret texts, encrypted in the workspace's folder; they appear in no log."""

    def __init__(self, workspace: Any, **kwargs: Any) -> None:
        self.workspace = workspace

    def set_secret(self, name: str, value: str) -> None:
        """Keep a secret, in place of one of that name. Raises UserErrorException for what is no text."""
        self.set_secrets({name: value})

    def set_secrets(self, secrets_batch: Dict[str, str]) -> None:
        """Keep several secrets."""
        self.workspace.access.call("set_secrets", secrets=secrets_batch)

    def get_secret(self, name: str) -> Optional[str]:
        """The secret; None where there is none of that name."""
        return self.get_secrets([name])[name]

    def get_secrets(self, secrets: Iterable[str]) -> Dict[str, Optional[str]]:
        """The secrets by name; None for those that there are not."""
        return self.workspace.access.call("get_secrets", names=list(secrets))  # type: ignore[no-any-return]

    def delete_secret(self, name: str) -> None:
        """Forget a secret; nothing happens where there is none of that name."""
        self.delete_secrets([name])

    def delete_secrets(self, secrets: Iterable[str]) -> None:
        """Forget several secrets."""
        self.workspace.access.call("delete_secrets", names=list(secrets))

    def list_secrets(self) -> List[Dict[str, str]]:
        """The names, such as ``[{"name": "password"}]``."""
        return [{"name": name} for name in self.workspace.access.call("list_secrets")]

    def __repr__(self) -> str:
        return "Keyvault(workspace={!r})".format(self.workspace.name)
