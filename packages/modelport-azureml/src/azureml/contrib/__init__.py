"""Names that were called experimental; those of other distributions stay importable beside ours."""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)

__all__ = []
