"""ConvLSTM2D layers out of saved Keras models, without Keras: h5py (`pip install convlstm[keras]`) is enough.

A `.keras` file is a zip of metadata.json (the Keras version), config.json (every layer's options) and
model.weights.h5; a `.weights.h5` file is the last of these alone. In the HDF5 file a layer lies in a group that
is named after its class and counted within its model (`layers/conv_lstm2d_1`), not after the layer; the layer's
name is an attribute since Keras 3, and in config.json always. Nothing is ever unpickled or executed.
"""

import io
import json
import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from natsort import natsorted

from convlstm_cli.errors import DependencyError, InputError, UsageError
from convlstm_cli.nn.interop import from_keras
from convlstm_cli.nn.layer import ConvLSTM

if TYPE_CHECKING:
    import h5py


class _Saved(NamedTuple):
    """One ConvLSTM2D layer of a file."""

    weights: list[npt.NDArray[Any]]
    """kernel, recurrent kernel and, with use_bias, bias."""
    config: Mapping[str, Any] | None
    """The layer's options; None where the file has none."""


def layer_names(path: str | Path) -> list[str]:
    """Names of the ConvLSTM2D layers in a `.keras` or `.weights.h5` file.

    A layer of a model inside the model is `inner/name`. Keras 2 wrote no names into `.weights.h5` files; there
    they are the groups' own, such as `conv_lstm2d_1`.

    Raises:
        InputError: not such a file.
        DependencyError: h5py is missing.
    """
    layers, _ = _read(Path(path))
    return list(layers)


def read_layer(
    path: str | Path, name: str, *, config: Mapping[str, Any] | None = None, keras_version: str | None = None
) -> ConvLSTM:
    """The ConvLSTM2D layer `name` of a `.keras` or `.weights.h5` file, as `interop.from_keras` makes it.

    Args:
        path: the file.
        name: one of `layer_names(path)`.
        config: the layer's options, for a file that holds none (`.weights.h5`): at least padding and
            recurrent_activation, as ConvLSTM2D takes them.
        keras_version: the Keras that saved such a file.

    Raises:
        InputError: not such a file, or no such layer in it.
        UsageError: options that are missing, that are given though the file has them, or that a ConvLSTM
            cannot express.
        DependencyError: h5py is missing.
    """
    path = Path(path)
    layers, saved_version = _read(path)
    if name not in layers:
        raise InputError(f"{path}: no ConvLSTM2D layer {name!r}; it has {', '.join(layers) or 'none at all'}.")
    saved = layers[name]
    if saved.config is not None:
        if config is not None or keras_version is not None:
            raise UsageError(f"{path} says itself how {name} was made; leave out config and keras_version.")
        config, keras_version = saved.config, saved_version
    if config is None or keras_version is None:
        raise UsageError(
            f"{path} does not say how {name} was made; give config={{'padding': ..., "
            "'recurrent_activation': ...} and the keras_version."
        )
    try:
        return from_keras(saved.weights, config, keras_version=keras_version)
    except UsageError as error:
        raise UsageError(f"{path}: layer {name}: {error}") from error


def _read(path: Path) -> tuple[dict[str, _Saved], str | None]:
    """The layers of a file by name, in the model's order, and the Keras version if the file says it."""
    try:
        import h5py
    except ImportError as error:
        raise DependencyError(
            f"{path}: reading Keras files takes h5py; install it with pip install 'convlstm[keras]'."
        ) from error
    model, version = {}, None
    source: Path | io.BytesIO = path
    try:
        if path.suffix == ".keras":
            with zipfile.ZipFile(path) as archive:
                model = json.loads(archive.read("config.json"))
                version = json.loads(archive.read("metadata.json"))["keras_version"]
                source = io.BytesIO(archive.read("model.weights.h5"))
        with h5py.File(source, "r") as file:
            return _layers(file, {group: (name, config) for group, name, config in _configs(model)}), version
    except (OSError, zipfile.BadZipFile, ValueError, KeyError) as error:
        raise InputError(
            f"{path} cannot be read as a .keras or .weights.h5 file ({error}); "
            "write one with model.save or model.save_weights."
        ) from error


def _configs(model: Mapping[str, Any], group: str = "", name: str = "") -> Iterator[tuple[str, str, Any]]:
    """HDF5 group, name and options of every layer in config.json, models inside the model included."""
    seen: Counter[str] = Counter()
    for layer in model.get("config", {}).get("layers", ()):
        stem = _snake_case(layer["class_name"])
        at = f"{group}layers/{stem}" + (f"_{seen[stem]}" if seen[stem] else "")
        seen[stem] += 1
        full_name = name + layer["config"]["name"]
        yield at, full_name, layer["config"]
        yield from _configs(layer, f"{at}/", f"{full_name}/")


def _layers(file: "h5py.File", configs: Mapping[str, tuple[str, Any]]) -> dict[str, _Saved]:
    """Reads the ConvLSTM2D layers; `configs` has the name and options by group, where they are known."""
    found: dict[str, list[npt.NDArray[Any]]] = {}

    def visit(path: str) -> None:
        # Every recurrent layer has a cell; ConvLSTM2D's kernels alone have four axes.
        if path.endswith("/cell/vars") and f"{path}/1" in file and file[f"{path}/1"].ndim == 4:
            arrays = file[path]
            found[path.removesuffix("/cell/vars")] = [np.asarray(arrays[key]) for key in sorted(arrays)]

    file.visit(visit)
    layers = {}
    for group in [*(group for group in configs if group in found), *natsorted(found.keys() - configs.keys())]:
        name, config = configs.get(group, (_stored_name(file, group), None))
        layers[name] = _Saved(found[group], config)
    return layers


def _stored_name(file: "h5py.File", group: str) -> str:
    """A layer's name from the attributes that Keras 3 writes; group names where there are none."""
    names = []
    at = ""
    for part in group.split("/"):
        at += f"/{part}"
        if part != "layers":
            attributes = file[f"{at}/vars"].attrs if f"{at}/vars" in file else {}
            names.append(str(attributes.get("name", part)))
    return "/".join(names)


def _snake_case(class_name: str) -> str:
    """ConvLSTM2D to conv_lstm2d, as Keras names groups."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<!^)(?=[A-Z][a-z])", "_", class_name).lower()
