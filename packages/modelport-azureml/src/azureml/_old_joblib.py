"""joblib by the name that it had inside scikit-learn until 0.23: scripts of 2019 import it from there."""

import importlib
import importlib.util
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Optional, Sequence

NAME = "sklearn.externals.joblib"


class OldJoblib(MetaPathFinder, Loader):
    """Gives joblib itself for the old name. Asked last: where scikit-learn has it, that one is taken."""

    offers = NAME
    _spec = None  # type: Optional[ModuleSpec]

    def find_spec(
        self, fullname: str, path: Optional[Sequence[Any]], target: Optional[ModuleType] = None
    ) -> Optional[ModuleSpec]:
        if fullname != NAME or importlib.util.find_spec("joblib") is None:
            return None
        sys.stderr.write("This scikit-learn has no " + NAME + " any more: joblib itself is taken.\n")
        return ModuleSpec(fullname, self)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        joblib = importlib.import_module("joblib")
        self._spec = joblib.__spec__
        return joblib

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec  # which the import system has just replaced


def offer() -> None:
    """Let ``from sklearn.externals import joblib`` work beside every scikit-learn. A second call does nothing."""
    if all(getattr(finder, "offers", None) != NAME for finder in sys.meta_path):
        sys.meta_path.append(OldJoblib())
