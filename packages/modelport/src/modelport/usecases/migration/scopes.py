"""What the names of a script are known to be, within functions and outside."""

from __future__ import annotations

from typing import Any

from modelport.usecases.migration.values import Value

Scope = dict[str, Value]


class InnerScope(Scope):
    """Names within a function: those it does not define are looked up outside, as Python does."""

    def __init__(self, outside: Scope, *, shares_self: bool) -> None:
        super().__init__()
        self._outside = outside
        self._shares_self = shares_self
        self.outer: set[str] = set()

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or name in self._outside

    def __missing__(self, name: str) -> Value:
        return self._outside[name]

    def get(self, name: str, default: Any = None) -> Any:
        try:
            return self[name]
        except KeyError:
            return default

    def __setitem__(self, name: str, value: Value) -> None:
        if name in self.outer or (self._shares_self and name.startswith("self.")):
            self._outside[name] = value
        else:
            super().__setitem__(name, value)
