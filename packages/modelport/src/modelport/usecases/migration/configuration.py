"""Reads JSON and YAML: configurations of v1, conda files, and pipelines with command lines in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

import yaml

from modelport.usecases.compatibility import Status, reference
from modelport.usecases.migration.findings import Finding, Place
from modelport.usecases.migration.requirements import in_environment
from modelport.usecases.migration.shell import ShellReader

_TASKS = {
    "AMLModelDeploy": "the task runs az ml inside Azure DevOps. Run az-ml model deploy in a script step",
    "MLPublishedPipelineRestAPITask": "Modelport does not run pipelines yet",
    "azure/aml-workspace": "the action logs in to Azure. Run: modelport workspace create -w NAME --exist-ok",
    "azure/aml-compute": "there is no compute to create: services run on this machine",
    "azure/aml-run": "the action submits to Azure. Run az-ml run submit-script in a step",
    "azure/aml-registermodel": "the action registers in Azure. Run az-ml model register in a step",
    "azure/aml-deploy": "the action deploys to Azure. Run az-ml model deploy in a step",
}
"""Tasks of Azure DevOps and actions of GitHub, by the beginnings of their names."""
_TASK = re.compile(r"^\s*-?\s*(?:task|uses):\s*['\"]?([\w./-]+)")


@dataclass(frozen=True)
class _Entry:
    """A key with its place and its value."""

    key: str
    place: Place
    value: yaml.Node


class ConfigurationReader:
    """Reads one file. Raises ValueError where it cannot be read."""

    def __init__(self, file: str, text: str, shell: ShellReader) -> None:
        self._file = file
        self._text = text.removeprefix("\ufeff")
        self._shell = shell

    def read(self) -> Iterator[Finding]:
        """What the file has to do with v1: nothing, mostly."""
        yield from self._tasks()
        root = self._root()
        kind = self._kind(root)
        if kind == "conda":
            yield from in_environment(self._packages(root))
        elif kind == "pipeline":
            note = "Modelport does not run pipelines yet. Run the steps as programs of their own"
            yield Finding(place=self._place(root), subject="pipeline", status=Status.ABSENT, note=note)
        elif kind:
            yield from self._keys(root, kind)
        elif root is not None:
            yield from self._shell.read(self._command_lines(root))

    def _root(self) -> yaml.Node | None:
        # JSON is read as YAML, which knows where things are; JSON may have tabs, and YAML may not
        text = self._text.expandtabs() if self._text.lstrip().startswith(("{", "[")) else self._text
        try:
            documents = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            place = f"line {mark.line + 1}: " if mark else ""
            raise ValueError(f"{place}{getattr(error, 'problem', None) or error}") from error
        return documents[0] if documents else None

    def _kind(self, root: yaml.Node | None) -> str:
        keys = {entry.key.lower().replace("_", "") for entry in self._entries(root)}
        if {"subscriptionid", "workspacename"} <= keys or {"id", "scope"} == keys:
            return "workspace"
        if "entryscript" in keys:
            return "inference"
        if "computetype" in keys:
            return "deployment"
        if {"python", "docker"} <= keys and "name" in keys:
            return "environment"
        if "dependencies" in keys and isinstance(self._value(root, "dependencies"), yaml.SequenceNode):
            return "conda"
        pipeline = self._value(root, "pipeline")
        return "pipeline" if isinstance(pipeline, yaml.MappingNode) and self._value(pipeline, "steps") else ""

    # --- keys ---------------------------------------------------------------------------------------------------------

    def _keys(self, root: yaml.Node | None, kind: str) -> Iterator[Finding]:
        rows = {key.lower(): row for key, row in reference().keys(kind).items()}
        groups = {key.rsplit(".", 1)[0] for key in rows if "." in key}
        for entry in self._flat(root, groups):
            if _is_empty(entry.value):
                continue
            if kind == "inference" and entry.key.lower() == "environment":
                yield from self._inline_environment(entry)
                continue
            key = entry.key.lower() if kind != "environment" else _camel(entry.key).lower()
            known = rows.get(key) or rows.get(key.replace("_", ""))
            if known is None:
                note = "not a documented key: passed over, and said so"
                yield Finding(place=entry.place, subject=entry.key, status=Status.DIFFERS, note=note)
            else:
                yield Finding(place=entry.place, subject=entry.key, status=known[0], note=known[1])
            if entry.key.lower().endswith("condadependencies"):
                yield from in_environment(self._packages(entry.value))

    def _inline_environment(self, entry: _Entry) -> Iterator[Finding]:
        yield Finding(place=entry.place, subject=entry.key, status=Status.SAME)
        yield from self._keys(entry.value, "environment")

    def _flat(self, node: yaml.Node | None, groups: set[str], *, within: str = "") -> Iterator[_Entry]:
        for entry in self._entries(node):
            path = f"{within}{entry.key}"
            if path.lower() in groups or _camel(path).lower() in groups:
                yield from self._flat(entry.value, groups, within=f"{path}.")
            else:
                yield _Entry(path, entry.place, entry.value)

    def _packages(self, node: yaml.Node | None) -> Iterator[tuple[str, Place]]:
        for item in _items(self._value(node, "dependencies")):
            if isinstance(item, yaml.ScalarNode):
                yield str(item.value), self._place(item)
            else:
                for line in _items(self._value(item, "pip")):
                    yield str(line.value), self._place(line)

    # --- command lines ------------------------------------------------------------------------------------------------

    def _tasks(self) -> Iterator[Finding]:
        for number, line in enumerate(self._text.splitlines(), start=1):
            found = _TASK.match(line)
            for name, note in _TASKS.items() if found else ():
                if found and found[1].lower().startswith(name.lower()):
                    place = Place(file=self._file, line=number)
                    yield Finding(place=place, subject=found[1], status=Status.ABSENT, note=note)

    def _command_lines(self, node: yaml.Node) -> Iterator[tuple[str, Place]]:
        """The lines of every text in the file: steps of pipelines have scripts in them."""
        if isinstance(node, yaml.ScalarNode):
            first = node.start_mark.line + (2 if node.style in ("|", ">") else 1)
            for index, line in enumerate(str(node.value).splitlines()):
                yield line, Place(file=self._file, line=first + (index if node.style == "|" else 0))
        elif isinstance(node, yaml.SequenceNode):
            for item in node.value:
                yield from self._command_lines(item)
        elif isinstance(node, yaml.MappingNode):
            for _, value in node.value:
                yield from self._command_lines(value)

    # --- nodes --------------------------------------------------------------------------------------------------------

    def _entries(self, node: yaml.Node | None) -> Iterator[_Entry]:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if isinstance(key, yaml.ScalarNode):
                    yield _Entry(str(key.value), self._place(key), value)

    def _value(self, node: yaml.Node | None, key: str) -> yaml.Node | None:
        return next((entry.value for entry in self._entries(node) if entry.key.lower() == key), None)

    def _place(self, node: yaml.Node | None) -> Place:
        return Place(file=self._file, line=node.start_mark.line + 1 if node is not None and node.start_mark else 1)


def _items(node: yaml.Node | None) -> list[yaml.Node]:
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _is_empty(node: yaml.Node) -> bool:
    """Whether the value is null, or an empty text, list or object."""
    if isinstance(node, yaml.ScalarNode):
        return node.tag.endswith(":null") or node.value == ""
    return not node.value


def _camel(key: str) -> str:
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), key)


def is_configuration(file: str) -> bool:
    """Whether a file of that name is read here."""
    return PurePosixPath(file).suffix.lower() in (".json", ".yml", ".yaml")
