"""TensorFlow: a SavedModel folder (azureml-v1 reference, 2.2.1); and Keras: one, or a ``.keras`` or ``.h5`` file.

Sources of the formats: saved_model.proto and meta_graph.proto of TensorFlow; Keras' guide "Save, serialize, and export
models".
"""

from __future__ import annotations

import json
import platform
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from modelport.domain import models
from modelport.usecases.no_code.interface import ModelFolder, Plan, Requirements, looks_like, refused
from modelport.usecases.no_code.protobuf_fields import Message, NoMessage, open_message
from modelport.usecases.no_code.requirements import BASE, bounds, numbers_of, only_wheels, pinned

TYPES = {
    1: "float32",
    2: "float64",
    3: "int32",
    4: "uint8",
    5: "int16",
    6: "int8",
    7: "string",
    9: "int64",
    10: "bool",
    17: "uint16",
    19: "float16",
    22: "uint32",
    23: "uint64",
}
"""DataType of types.proto by NumPy's names."""

_DEFAULT = "serving_default"
_INTERNAL = ("__saved_model_init_op", "__saved_model_train_op")
_HINT = (
    "Register the folder with saved_model.pb and variables/ in it, as tf.saved_model.save or model.export writes it."
)


class TensorFlow:
    """The framework."""

    name = models.Framework.TENSORFLOW

    def recognises(self, model: ModelFolder) -> bool:
        return _saved_model(model) is not None

    def plan(self, model: ModelFolder) -> Plan:
        path = _saved_model(model)
        if path is None:
            file = model.files[0]
            found = (
                f"{model.relative(file)} looks like {looks_like(file)}" if len(model.files) == 1 else "there is none"
            )
            raise refused(model, f"TensorFlow is served from a SavedModel folder, and {found}.", hint=_HINT)
        return _plan_saved_model(model, path, framework=self.name)


class Keras:
    """The framework."""

    name = models.Framework.TFKERAS

    def recognises(self, model: ModelFolder) -> bool:
        return len(model.files) == 1 and model.files[0].suffix.lower() in (".keras", ".h5", ".hdf5")

    def plan(self, model: ModelFolder) -> Plan:
        folder = _saved_model(model)
        if folder is not None:
            return _plan_saved_model(model, folder, framework=self.name)
        if len(model.files) != 1:
            raise refused(model, "it is neither a SavedModel folder nor one .keras or .h5 file.", hint=_HINT)
        path = model.files[0]
        config, version = _keras_config(model, path)
        return _plan_keras(model, path, config, version)


def _saved_model(model: ModelFolder) -> Path | None:
    """The folder with the SavedModel: the model's own, or the only one below it, as TensorFlow Serving has them."""
    found = [path.parent for path in model.files if path.name == "saved_model.pb"]
    return found[0] if len(found) == 1 else None


# --- SavedModel -------------------------------------------------------------------------------------------------------


def _plan_saved_model(model: ModelFolder, path: Path, *, framework: str) -> Plan:
    try:
        graph = _serving_graph(model, open_message(path / "saved_model.pb"))
        signatures = dict(_signatures(graph))
        info = graph.message(1)
        written = info.text(5) if info is not None else ""
    except NoMessage as error:
        raise refused(model, f"saved_model.pb is damaged: {error}.", hint=_HINT) from error
    if not signatures:
        raise refused(
            model,
            "its SavedModel has no signature, so that nothing can be called.",
            hint="Save it with tf.saved_model.save(model, path, signatures=function), or model.export(path).",
        )
    default = _DEFAULT if _DEFAULT in signatures else next(iter(signatures))
    return Plan(
        framework=framework,
        summary=f"TensorFlow {written or 'of an unknown version'}, SavedModel with {', '.join(signatures)}",
        script="score_tensorflow.py",
        facts={
            "framework": framework,
            "model": model.relative(path),
            "by_rows": True,
            "default_signature": default,
            "signatures": signatures,
        },
        requirements=_requirements(model, model.framework_version or _served_by(written)),
    )


def _serving_graph(model: ModelFolder, message: Message) -> Message:
    graphs = list(message.messages(2))
    for graph in graphs:
        info = graph.message(1)
        if info is not None and "serve" in info.texts(4):
            return graph
    raise refused(model, "its SavedModel has no graph with the tag 'serve'.", hint=_HINT)


def _signatures(graph: Message) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, signature in sorted(graph.entries(5).items()):
        inputs = [_tensor(key, info) for key, info in sorted(signature.entries(1).items())]
        outputs = [_tensor(key, info) for key, info in sorted(signature.entries(2).items())]
        if name not in _INTERNAL and inputs and all(tensor["type"] for tensor in (*inputs, *outputs)):
            yield name, {"inputs": inputs, "outputs": outputs}


def _tensor(name: str, info: Message) -> dict[str, Any]:
    """Name, type and shape, and the tensor's name in the graph, which TensorFlow 1 asks by."""
    shape = info.message(3)
    is_known = shape is not None and not shape.number(3)
    sizes = [_size(size) for size in shape.messages(2)] if shape is not None and is_known else None
    return {"name": name, "type": TYPES.get(info.number(2)), "shape": sizes, "tensor": info.text(1)}


def _size(dimension: Message) -> int | None:
    size = dimension.number(1)
    return size if size > 0 else None


def _requirements(model: ModelFolder, version: str | None, *more: str) -> Requirements:
    """TensorFlow in that version; the build for CPUs alone where there is one and no GPU is asked for."""
    is_small = not model.wants_gpu and platform.machine() == "x86_64"
    is_small = is_small and (not version or numbers_of(version) >= (1, 15))
    decisive = pinned("tensorflow-cpu" if is_small else "tensorflow", version)
    package = decisive.partition("==")[0]
    wheels = only_wheels(package, "numpy", "h5py", "grpcio", "protobuf")
    return Requirements(pip=(*wheels, decisive, *BASE, *bounds(package, version), *more), decisive=decisive)


def _served_by(written: str) -> str | None:
    """The line of releases that wrote it; None, the newest, where that is TensorFlow 1, whose graphs all of 2 read."""
    numbers = numbers_of(written)
    return ".".join(map(str, numbers[:2])) if numbers >= (2,) else None


# --- Keras ------------------------------------------------------------------------------------------------------------


def _keras_config(model: ModelFolder, path: Path) -> tuple[dict[str, Any], str]:
    """The model's configuration, and the version of Keras that wrote it."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                config = json.loads(archive.read("config.json"))
                return config, str(json.loads(archive.read("metadata.json")).get("keras_version", ""))
        content = path.read_bytes()
        if content.startswith(b"\x89HDF\r\n\x1a\n"):
            return _in_hdf5(content)
    except (KeyError, ValueError, zipfile.BadZipFile) as error:
        raise _not_keras(model, path) from error
    raise _not_keras(model, path)


def _in_hdf5(content: bytes) -> tuple[dict[str, Any], str]:
    """The attribute ``model_config``, which HDF5 keeps as it was given. Raises ValueError where there is none."""
    start = re.search(rb'\{"(?:class_name|module)":\s*"', content)
    if start is None:
        raise ValueError("no model_config")
    text = content[start.start() : start.start() + (1 << 26)].decode("utf-8", "replace")
    config, _ = json.JSONDecoder().raw_decode(text)
    version = re.search(rb"keras_version.{0,120}?(\d+\.\d+\.\d+)", content, re.DOTALL)
    return config, version[1].decode() if version else ""


def _not_keras(model: ModelFolder, path: Path) -> Exception:
    return refused(
        model,
        f"{path.name} is no whole Keras model: it looks like {looks_like(path)}.",
        hint="Save it with model.save('model.keras') (weights alone are not enough), or model.export for a SavedModel.",
    )


def _plan_keras(model: ModelFolder, path: Path, config: Mapping[str, Any], version: str) -> Plan:
    inputs = list(_keras_inputs(config))
    if not inputs:
        raise refused(
            model,
            f"the configuration in {path.name} does not tell its inputs.",
            hint="Export it: model.export(path) writes a SavedModel with a signature.",
        )
    names = list(_keras_outputs(config)) or ["output_0"]
    outputs = [{"name": name, "type": "float32", "shape": None} for name in names]
    is_third = numbers_of(version) >= (3,)
    tensorflow = model.framework_version or (None if is_third else _tensorflow_of_keras(version))
    return Plan(
        framework=models.Framework.TFKERAS,
        summary=f"Keras {version or 'of an unknown version'}, {config.get('class_name', 'model')}",
        script="score_keras.py",
        facts={
            "framework": models.Framework.TFKERAS,
            "model": model.relative(path),
            "by_rows": True,
            "default_signature": _DEFAULT,
            "signatures": {_DEFAULT: {"inputs": inputs, "outputs": outputs}},
        },
        requirements=_requirements(model, tensorflow, *((f"keras=={version}",) if is_third else ())),
    )


def _tensorflow_of_keras(version: str) -> str | None:
    """Keras 2 went with TensorFlow of the same minor release from 2.5 on."""
    numbers = numbers_of(version)
    if (2, 5) <= numbers < (2, 16):
        return ".".join(map(str, numbers[:2]))
    return "2.15" if numbers else None


def _keras_inputs(config: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    inner = config.get("config") or {}
    layers: Sequence[Mapping[str, Any]] = inner.get("layers") or [] if isinstance(inner, Mapping) else inner
    found = [layer for layer in layers if layer.get("class_name") == "InputLayer"]
    for layer in found or layers[:1]:
        settings = layer.get("config") or {}
        shape = settings.get("batch_shape") or settings.get("batch_input_shape")
        if shape:
            name = str(settings.get("name", "input"))
            yield {"name": name, "type": _dtype(settings.get("dtype")), "shape": list(shape)}


def _dtype(given: object) -> str:
    name = given if isinstance(given, str) else "float32"
    return name if name in TYPES.values() else "float32"


def _keras_outputs(config: Mapping[str, Any]) -> Iterator[str]:
    inner = config.get("config") or {}
    if not isinstance(inner, Mapping):
        return
    outputs = inner.get("output_layers")
    if isinstance(outputs, Mapping):
        outputs = list(outputs.values())
    if outputs and isinstance(outputs[0], str):
        outputs = [outputs]
    for output in outputs or ():
        yield str(output[0])
