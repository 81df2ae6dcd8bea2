"""What Modelport makes of v1's names: one table, read by ``modelport migrate`` and by docs/compatibility.md.

The table lies in ``reference/``: classes with their members and signatures in the syntax of Python stubs (``*.api``),
commands and keys of files as TOML. It says what is meant; ``implemented.py`` compares it with what is there.
"""

from modelport.usecases.compatibility.implemented import Implementation, Verdict
from modelport.usecases.compatibility.read import reference
from modelport.usecases.compatibility.table import (
    Command,
    KeyTable,
    Kind,
    Member,
    Parameter,
    Reference,
    ReferenceClass,
    Status,
    TypeName,
)

__all__ = [
    "Command",
    "Implementation",
    "KeyTable",
    "Kind",
    "Member",
    "Parameter",
    "Reference",
    "ReferenceClass",
    "Status",
    "TypeName",
    "Verdict",
    "reference",
]
