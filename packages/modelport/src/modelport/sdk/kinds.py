"""That what a script gives is an object of the class that it has to be: a list where a dictionary is wanted, or a name
where the object itself is, would otherwise fail somewhere inside, by a name that the script does not have."""

from __future__ import annotations

from modelport.domain.errors import UserErrorException


def check_kind(value: object, *kinds: type, what: str, hint: str) -> None:
    """Raise UserErrorException, which names the argument and shows it, where it is an object of none of the classes."""
    if not isinstance(value, kinds):
        wanted = " or ".join(kind.__name__ for kind in kinds)
        raise UserErrorException(f"{what} must be of the class {wanted}; it is {value!r}.", hint=hint)


def check_workspace(value: object) -> None:
    """Raise UserErrorException where it is no workspace."""
    if not hasattr(value, "context"):  # not by the class, which imports the modules that ask
        raise UserErrorException(
            f"workspace must be a Workspace; it is {value!r}.",
            hint="Open it with Workspace.get(name), or Workspace.from_config().",
        )
