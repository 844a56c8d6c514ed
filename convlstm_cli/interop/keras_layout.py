"""Where the ConvLSTM layers lie in the HDF5 files that Keras writes, and what the files say about each.

Two layouts exist. The newer one (`.weights.h5`, and model.weights.h5 inside a `.keras` file) names a layer's group
after its class and counts it within its model (`layers/conv_lstm2d_1/cell/vars/0`); the layer's name is an attribute
since Keras 3, and in the model's config always. The older one (`.h5`, whole models or weights alone) names groups and
arrays after the layers (`model_weights/first/first/conv_lstm_cell/kernel`, in Keras 2 `first/first/kernel:0`).
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from natsort import natsorted

if TYPE_CHECKING:
    import h5py

ARRAYS = ("kernel", "recurrent_kernel", "bias")
"""The arrays of a ConvLSTM layer, in the order of `layer.get_weights()`; the last only with use_bias."""

CONVLSTM_AXES = (3, 4, 5)
"""Axes of the kernels of ConvLSTM1D, 2D and 3D; those of other recurrent layers have two."""


@dataclass(frozen=True)
class SavedLayer:
    """One ConvLSTM layer of a file."""

    name: str
    """Its name; `inner/name` in a model inside the model, `both/forward_name` in a Bidirectional one."""
    paths: tuple[str, ...]
    """Where its kernel, recurrent kernel and, with use_bias, bias lie in the HDF5 file."""
    config: Mapping[str, Any] | None
    """The layer's options; None where the file has none."""


def find_layers(file: "h5py.File", model: Mapping[str, Any]) -> list[SavedLayer]:
    """The ConvLSTM layers of an open file, in the model's order where `model`, its config, has one.

    Layers of other kinds are passed over.
    """
    arrays: dict[str, dict[str, str]] = {}

    def visit(path: str) -> None:
        group, _, last = path.rpartition("/")
        array = re.fullmatch(r"(kernel|recurrent_kernel|bias)(:0)?", last)
        if array:
            arrays.setdefault(group, {})[array[1]] = path
        elif group.endswith("cell/vars") and last in ("0", "1", "2"):
            arrays.setdefault(group, {})[ARRAYS[int(last)]] = path

    file.visit(visit)
    found = {
        group: tuple(paths[name] for name in ARRAYS if name in paths)
        for group, paths in arrays.items()
        if all(name in paths and file[paths[name]].ndim in CONVLSTM_AXES for name in ARRAYS[:2])
    }
    options = {group: (name, config) for group, name, config in _configs(model)}
    by_name = dict(options.values())
    layers = []
    for group in natsorted(found):
        if group.endswith("cell/vars"):
            name, config = options.get(group.removesuffix("/cell/vars"), (None, None))
            name = name or _stored_name(file, group.removesuffix("/cell/vars"))
        else:
            name = _older_name(group, by_name)
            config = by_name.get(name)
        layers.append(SavedLayer(name, found[group], config))
    order = list(by_name)
    return sorted(layers, key=lambda layer: order.index(layer.name) if layer.name in order else len(order))


def attribute(file: "h5py.File", name: str) -> str | None:
    """A text attribute at the root of a file, such as keras_version; None where there is none."""
    value = file.attrs.get(name)
    return value.decode() if isinstance(value, bytes | np.bytes_) else value


def model_config(file: "h5py.File") -> Mapping[str, Any]:
    """The config of the model in a whole model's `.h5` file; empty in a file of weights alone."""
    config: Mapping[str, Any] = json.loads(attribute(file, "model_config") or "{}")
    return config


def _configs(model: Mapping[str, Any], group: str = "", name: str = "") -> Iterator[tuple[str, str, Any]]:
    """Newer group, name and options of every layer of a config, models and wrappers inside the model included."""
    seen: Counter[str] = Counter()
    for layer in model.get("config", {}).get("layers", ()):
        stem = _snake_case(layer["class_name"])
        at = f"{group}layers/{stem}" + (f"_{seen[stem]}" if seen[stem] else "")
        seen[stem] += 1
        full_name = name + layer["config"]["name"]
        if layer["class_name"] == "Bidirectional":
            yield from _directions(layer["config"], at, full_name)
        else:
            yield at, full_name, layer["config"]
        yield from _configs(layer, f"{at}/", f"{full_name}/")


def _directions(config: Mapping[str, Any], group: str, name: str) -> Iterator[tuple[str, str, Any]]:
    """The two layers of a Bidirectional one; Keras 2 has the options of the first alone where they are equal."""
    forward = config["layer"]["config"]
    backward = config.get("backward_layer", {}).get("config") or {**forward, "go_backwards": True}
    for direction, options in (("forward", forward), ("backward", backward)):
        own = options["name"].removeprefix("forward_").removeprefix("backward_")
        yield f"{group}/{direction}_layer", f"{name}/{direction}_{own}", options


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


def _older_name(group: str, known: Mapping[str, Any]) -> str:
    """A layer's name from the older layout, whose paths repeat the outermost name and may end in the cell's."""
    parts = [part for part in group.split("/") if not part.startswith("conv_lstm_cell")]
    if parts[0] == "model_weights":
        parts = parts[1:]
    if "/".join(parts) not in known and len(parts) > 1 and parts[0] == parts[1]:
        parts = parts[1:]
    return "/".join(parts)


def _snake_case(class_name: str) -> str:
    """ConvLSTM2D to conv_lstm2d, as Keras names groups."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<!^)(?=[A-Z][a-z])", "_", class_name).lower()
