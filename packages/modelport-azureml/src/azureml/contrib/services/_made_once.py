"""A property that is made when it is first asked for: what ``functools.cached_property`` is from Python 3.8 on."""

from typing import Any, Callable, Generic, TypeVar

T = TypeVar("T")


class made_once(Generic[T]):
    """As a decorator: the method's value is kept under its name, which can be assigned to as well."""

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make
        self.__doc__ = make.__doc__

    def __get__(self, instance: Any, owner: Any = None) -> T:
        if instance is None:
            return self  # type: ignore[return-value]  # as a property does
        value = vars(instance)[self._make.__name__] = self._make(instance)
        return value
