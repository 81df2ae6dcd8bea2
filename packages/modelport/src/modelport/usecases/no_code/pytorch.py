"""PyTorch: TorchScript, and programs of ``torch.export``.

Both are zip archives. TorchScript holds its code as text, ``torch.export`` a description of every input and output; a
state_dict or a pickled module holds neither, and needs code of the user's.

Sources of the formats: PyTorch's "TorchScript serialization" and the schema of ``torch.export``.
"""

from __future__ import annotations

import contextlib
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from modelport.domain import models
from modelport.usecases.no_code.interface import ModelFolder, Plan, Requirements, looks_like, only_file, refused
from modelport.usecases.no_code.requirements import BASE, bounds, only_wheels, pinned

_SUFFIXES = (".pt", ".pth", ".pt2", ".ts", ".torchscript")
_HINT = "Save it with torch.jit.script(model).save(path), or with torch.export.save(torch.export.export(…), path)."
_TYPES = {
    1: "uint8",
    2: "int8",
    3: "int16",
    4: "int32",
    5: "int64",
    6: "float16",
    7: "float32",
    8: "float64",
    12: "bool",
}
"""ScalarType of torch.export's schema by NumPy's names."""


class PyTorch:
    """The framework."""

    name = models.Framework.PYTORCH

    def recognises(self, model: ModelFolder) -> bool:
        return len(model.files) == 1 and model.files[0].suffix.lower() in _SUFFIXES

    def plan(self, model: ModelFolder) -> Plan:
        path = only_file(model, _SUFFIXES, what="the model")
        if not zipfile.is_zipfile(path):
            raise refused(
                model, f"{path.name} is no archive of PyTorch's: it looks like {looks_like(path)}.", hint=_HINT
            )
        with zipfile.ZipFile(path) as archive:
            members = {name.split("/", 1)[-1]: name for name in archive.namelist()}
            program = _program(archive, members)
            if program is not None:
                return _plan_exported(model, path, program)
            if any(name.startswith("code/") for name in members):
                return _plan_script(model, path, archive, members)
        raise refused(
            model,
            f"{path.name} is a state_dict or a pickled module, which needs the code of its class.",
            hint=_HINT,
        )


def _plan(
    model: ModelFolder,
    path: Path,
    *,
    inputs: list[dict[str, Any]],
    outputs: list[dict[str, Any]],
    is_script: bool,
    what: str,
    written: str | None,
    by_rows: bool,
    notes: tuple[str, ...] = (),
) -> Plan:
    version = model.framework_version or written
    decisive = pinned("torch", version)
    return Plan(
        framework=models.Framework.PYTORCH,
        summary=f"PyTorch {version or '(newest)'}, {what}",
        script="score_torch.py",
        facts={
            "framework": models.Framework.PYTORCH,
            "model": model.relative(path),
            "is_script": is_script,
            "by_rows": by_rows,
            "default_signature": "serving_default",
            "signatures": {"serving_default": {"inputs": inputs, "outputs": outputs}},
        },
        requirements=Requirements(
            pip=(*only_wheels("torch", "numpy"), decisive, *BASE, *bounds("torch", version)), decisive=decisive
        ),
        by_rows=by_rows,
        notes=(*notes, *_size_note(model)),
    )


def _size_note(model: ModelFolder) -> tuple[str, ...]:
    if model.wants_gpu:
        return ()
    return (
        "PyTorch's builds in the usual index bring CUDA, several GB. UV_TORCH_BACKEND=cpu has the installer take its "
        "builds for CPUs.",
    )


# --- torch.export -----------------------------------------------------------------------------------------------------


def _program(archive: zipfile.ZipFile, members: Mapping[str, str]) -> dict[str, Any] | None:
    """The description of the program; its place differs between releases."""
    for name, member in members.items():
        if name == "serialized_exported_program.json" or re.fullmatch(r"models/[^/]+\.json", name):
            with contextlib.suppress(ValueError):
                found = json.loads(archive.read(member))
                if isinstance(found, dict) and "graph_module" in found:
                    return found
    return None


def _plan_exported(model: ModelFolder, path: Path, program: Mapping[str, Any]) -> Plan:
    module = program["graph_module"]
    values = module["graph"]["tensor_values"]
    ranges = program.get("range_constraints") or {}
    inputs = [_value(name, values[name]) for name in _user_names(module["signature"]["input_specs"], "user_input")]
    outputs = [
        dict(_value(name, values[name]), name=f"output_{number}")
        for number, name in enumerate(_user_names(module["signature"]["output_specs"], "user_output"))
    ]
    tensors = (*inputs, *outputs)
    by_rows = bool(inputs) and all(tensor["shape"][:1] == [None] for tensor in tensors)
    notes = () if by_rows else (_FIXED_ROWS,)
    return _plan(
        model,
        path,
        inputs=inputs,
        outputs=outputs,
        is_script=False,
        what=f"torch.export, {len(ranges)} free sizes",
        written=str(program.get("torch_version") or "").partition("+")[0] or None,
        by_rows=by_rows,
        notes=notes,
    )


_FIXED_ROWS = (
    "The program was exported for a fixed number of rows; with dynamic_shapes requests could be scored together."
)


def _user_names(specs: list[Mapping[str, Any]], kind: str) -> Iterator[str]:
    for spec in specs:
        argument = (spec.get(kind) or {}).get("arg") or {}
        if "as_tensor" in argument:
            yield str(argument["as_tensor"]["name"])


def _value(name: str, meta: Mapping[str, Any]) -> dict[str, Any]:
    sizes = [size.get("as_int") for size in meta["sizes"]]
    return {"name": name, "type": _TYPES.get(meta["dtype"], "float32"), "shape": sizes}


# --- TorchScript ------------------------------------------------------------------------------------------------------


def _plan_script(model: ModelFolder, path: Path, archive: zipfile.ZipFile, members: Mapping[str, str]) -> Plan:
    names = _forward_arguments(archive, members)
    if names is None:
        raise refused(
            model, f"the code in {path.name} has no forward() of tensors alone.", hint="Wrap it in a module that has."
        )
    samples = model.sample_input if isinstance(model.sample_input, dict) else {names[0]: model.sample_input}
    inputs = [_from_sample(name, samples.get(name)) for name in names]
    return _plan(
        model,
        path,
        inputs=inputs,
        outputs=[{"name": "output_0", "type": "float32", "shape": None}],
        is_script=True,
        what="TorchScript",
        written=None,
        by_rows=True,
        notes=() if model.sample_input is not None else (_NO_TYPES.format(", ".join(names)),),
    )


_NO_TYPES = (
    "TorchScript does not tell the types and shapes of its inputs ({}): float32 is taken. A sample as JSON in "
    "sample_input_dataset tells them."
)


def _forward_arguments(archive: zipfile.ZipFile, members: Mapping[str, str]) -> list[str] | None:
    """The tensors that ``forward`` of the outermost module takes: the class that ``data.pkl`` names first."""
    pickled = archive.read(members["data.pkl"]) if "data.pkl" in members else b""
    outermost = re.search(rb"c(__torch__[\w.]*)\n(\w+)\n", pickled)
    if outermost is None:
        return None
    module = outermost[1].decode().replace(".", "/")
    candidates = [f"code/{module}.py", "code/__torch__.py"]
    for candidate in candidates:
        if candidate not in members:
            continue
        code = archive.read(members[candidate]).decode("utf-8", "replace")
        found = re.search(
            rf"class {re.escape(outermost[2].decode())}\(Module\):.*?def forward\(\w+: [\w.]+,\s*(.*?)\)\s*->",
            code,
            re.DOTALL,
        )
        if found:
            arguments = [part.strip().partition(":") for part in found[1].split(",") if part.strip()]
            if all(kind.strip() == "Tensor" for _, _, kind in arguments):
                return [name.strip() for name, _, _ in arguments]
    return None


def _from_sample(name: str, sample: object) -> dict[str, Any]:
    """Type and dimensions of the sample input; the number of rows is free."""
    shape: list[int | None] = []
    value = sample
    while isinstance(value, list):
        shape.append(len(value))
        value = value[0] if value else None
    if not shape:
        return {"name": name, "type": "float32", "shape": None}
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    kind = "bool" if isinstance(value, bool) else "int64" if is_whole else "float32"
    return {"name": name, "type": kind, "shape": [None, *shape[1:]]}
