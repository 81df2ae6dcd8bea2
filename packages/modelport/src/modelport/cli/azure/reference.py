"""The reference page of ``az-ml``, made from the program's own help: ``python -m modelport.cli.azure.reference``."""

from __future__ import annotations

import sys
from typing import Any

from modelport.cli.azure.words import PROGRAM, AzGroup
from modelport.cli.reference import page_of

_HEAD = """# The commands of `az ml`

Made from the program's help by `python -m modelport.cli.azure.reference > docs/az-ml.md`; a test compares the two.

`az-ml` takes the words of `az ml` as its extension azure-cli-ml (version 1) had them: `az ml model deploy -n myservice`
is `az-ml model deploy -n myservice`. There are three ways to run old scripts and walk-throughs:

- `az-ml …`, the program that is installed with Modelport;
- in a shell's start file, `eval "$(modelport az)"` (bash, zsh) or `modelport az --shell fish | source` (fish):
  `az ml …` then calls `az-ml`, and any other `az …` the real `az`, if there is one;
- the real `az` with the extension of the distribution modelport-azure-cli, which runs `az-ml`:
  `az extension add --source modelport_azure_cli-0.1.0-py3-none-any.whl`.

Results go to stdout, progress and notes to stderr. As with `az`, JSON with sorted keys is the default, `-o tsv` prints
values with tabs between them and text as it is, and `--query` is JMESPath. Two-letter options may be written with one
dash or two: `-ic`, `--ic`. An option may be shortened as long as it stays unique. One that says yes or no may stand
alone (`--ae`) or have a value (`--ae false`). `@file` as the value of `--input-data` reads the file. Files of `--ic`
and `--dc` are JSON or YAML; keys that are not known are tolerated and named on stderr; flags override a file's keys.

The workspace is that of `-w`, else that of `.azureml/config.json` in `--path` (default: here) or in a folder above it.

An error is printed as `ERROR: {'Azure-cli-ml Version': …, 'Error': …}` on stderr, and the exit code is 1; it is 2 where
the command was called wrongly.
"""


def commands() -> list[tuple[str, Any]]:
    """The groups of the program, with the words that call them."""
    return [(f"{PROGRAM} {name}", AzGroup.load(name)) for name in AzGroup.members]


def page() -> str:
    """The whole page as Markdown."""
    return page_of(_HEAD, commands())


if __name__ == "__main__":
    sys.stdout.write(page())
