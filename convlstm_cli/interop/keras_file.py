"""ConvLSTM layers out of and into saved Keras models, without Keras: h5py (`pip install convlstm[keras]`) is enough.

A `.keras` file is a zip of metadata.json (the Keras version), config.json (every layer's options) and
model.weights.h5; a `.weights.h5` file is the last of these alone. An `.h5` file holds a whole model, or weights alone,
in the older layout. `keras_layout.py` knows where the layers lie. Nothing is ever unpickled or executed.
"""

import contextlib
import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convlstm_cli import files
from convlstm_cli.errors import DependencyError, InputError, UsageError
from convlstm_cli.interop.keras_layout import ARRAYS, SavedLayer, attribute, find_layers, model_config
from convlstm_cli.nn.interop import from_keras, to_keras
from convlstm_cli.nn.layer import ConvLSTM

if TYPE_CHECKING:
    import h5py

WEIGHTS = "model.weights.h5"
"""The member of a `.keras` file that holds the arrays."""


def layer_names(path: str | Path) -> list[str]:
    """Names of the ConvLSTM1D, 2D and 3D layers in a `.keras`, `.weights.h5` or `.h5` file.

    A layer of a model inside the model is `inner/name`, and the two of a Bidirectional layer are
    `name/forward_layer` and `name/backward_layer` with their own names. Keras 2 wrote no names into `.weights.h5`
    files; there they are the groups' own, such as `conv_lstm2d_1`.

    Raises:
        InputError: not such a file.
        DependencyError: h5py is missing.
    """
    with _opened(Path(path)) as model:
        return list(model.layers)


def read_layer(
    path: str | Path, name: str, *, config: Mapping[str, Any] | None = None, keras_version: str | None = None
) -> ConvLSTM:
    """The ConvLSTM layer `name` of a `.keras`, `.weights.h5` or `.h5` file, as `interop.from_keras` makes it.

    Args:
        path: the file.
        name: one of `layer_names(path)`.
        config: the layer's options, for a file that holds none (weights alone): at least padding and
            recurrent_activation, as ConvLSTM2D takes them.
        keras_version: the Keras that saved such a file.

    Raises:
        InputError: not such a file, or no such layer in it.
        UsageError: options that are missing, that are given though the file has them, or that a ConvLSTM
            cannot express.
        DependencyError: h5py is missing.
    """
    path = Path(path)
    with _opened(path) as model:
        saved = model.layer(name)
        config, keras_version = model.made(saved, config, keras_version)
        arrays = [np.asarray(model.file[at]) for at in saved.paths]
    try:
        return from_keras(arrays, config, keras_version=keras_version)
    except UsageError as error:
        raise UsageError(f"{path}: layer {name}: {error}") from error


def write_layer(
    layer: ConvLSTM,
    name: str,
    source: str | Path,
    target: str | Path,
    *,
    config: Mapping[str, Any] | None = None,
    keras_version: str | None = None,
) -> None:
    """Writes `target`, a copy of the file `source` in which the layer `name` has the weights of `layer`.

    The way back from `read_layer`, with the same options; everything else in the file stays as it was. The two paths
    may be the same.

    Raises:
        InputError: `source` is not such a file, or there is no such layer in it.
        UsageError: a layer that computes something else than the saved one with any weights, or options as in
            `read_layer`. The message names the option, or the array that does not fit.
        DependencyError: h5py is missing.
        OutputError: `target` cannot be written.
    """
    source, target = Path(source), Path(target)
    with _opened(source) as model:
        saved = model.layer(name)
        config, keras_version = model.made(saved, config, keras_version)
        shapes = [tuple(model.file[at].shape) for at in saved.paths]
    try:
        arrays, made = to_keras(layer, keras_version=keras_version)
        _check_same(made, config, len(saved.paths))
        arrays = _fitted(arrays, shapes)
    except UsageError as error:
        raise UsageError(f"{source}: layer {name}: {error}") from error
    values = dict(zip(saved.paths, arrays, strict=True))
    with files.replacing(target) as partial:
        if source.suffix == ".keras":
            _copy_archive(source, partial, values)
        else:
            partial.write_bytes(_assigned(source.read_bytes(), values))


@dataclass(frozen=True)
class _Model:
    """An open file."""

    path: Path
    file: "h5py.File"
    layers: Mapping[str, SavedLayer]
    version: str | None
    """The Keras that wrote the file, if the file records it."""

    def layer(self, name: str) -> SavedLayer:
        if name not in self.layers:
            raise InputError(
                f"{self.path}: no ConvLSTM layer {name!r}; it has {', '.join(self.layers) or 'none at all'}."
            )
        return self.layers[name]

    def made(
        self, saved: SavedLayer, config: Mapping[str, Any] | None, version: str | None
    ) -> tuple[Mapping[str, Any], str]:
        """The layer's options and the Keras version: those of the file, or else the ones given."""
        if saved.config is not None:
            if config is not None or version is not None:
                raise UsageError(
                    f"{self.path} says itself how {saved.name} was made; leave out config and keras_version."
                )
            config, version = saved.config, self.version
        if config is None or version is None:
            raise UsageError(
                f"{self.path} does not say how {saved.name} was made; give config={{'padding': ..., "
                "'recurrent_activation': ...} and the keras_version."
            )
        return config, version


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[_Model]:
    try:
        import h5py
    except ImportError as error:
        raise DependencyError(
            f"{path}: reading Keras files takes h5py; install it with pip install 'convlstm[keras]'."
        ) from error
    with contextlib.ExitStack() as stack:
        try:
            if path.suffix == ".keras":
                with zipfile.ZipFile(path) as archive:
                    config = json.loads(archive.read("config.json"))
                    version = json.loads(archive.read("metadata.json"))["keras_version"]
                    file = stack.enter_context(h5py.File(io.BytesIO(archive.read(WEIGHTS)), "r"))
            else:
                file = stack.enter_context(h5py.File(path, "r"))
                config, version = model_config(file), attribute(file, "keras_version")
            layers = {layer.name: layer for layer in find_layers(file, config)}
        except (OSError, zipfile.BadZipFile, ValueError, KeyError) as error:
            raise InputError(
                f"{path} cannot be read as a .keras, .weights.h5 or .h5 file ({error}); "
                "write one with model.save or model.save_weights."
            ) from error
        yield _Model(path, file, layers, version)


def _check_same(made: Mapping[str, Any], saved: Mapping[str, Any], arrays: int) -> None:
    """Raises UsageError for an option of ours that the saved layer has otherwise."""
    found = {"use_bias": arrays == len(ARRAYS), **saved}
    for option, value in made.items():
        if option != "use_bias" and option in found and not np.array_equal(found[option], value):
            raise UsageError(f"it has {option}={found[option]!r} and the ConvLSTM given {value!r}.")


def _fitted(arrays: list[Any], shapes: list[tuple[int, ...]]) -> list[Any]:
    """The arrays that the saved layer has places for; a bias more must be zero, and one less is zero."""
    if len(arrays) > len(shapes) and arrays[-1].any():
        raise UsageError("it has no bias (use_bias=False), and the ConvLSTM given has one that is not zero.")
    if len(arrays) < len(shapes):
        arrays = [*arrays, np.zeros(shapes[-1], arrays[0].dtype)]
    for name, array, shape in zip(ARRAYS, arrays, shapes, strict=False):
        if array.shape != shape:
            raise UsageError(f"its {name} has shape {shape}, and that of the ConvLSTM given {array.shape}.")
    return arrays[: len(shapes)]


def _copy_archive(source: Path, target: Path, values: Mapping[str, Any]) -> None:
    """A `.keras` file as it is but for the arrays `values`, by their paths in the HDF5 file."""
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(target, "w") as copy:
        for member in archive.infolist():
            content = archive.read(member)
            copy.writestr(member, _assigned(content, values) if member.filename == WEIGHTS else content)


def _assigned(content: bytes, values: Mapping[str, Any]) -> bytes:
    """An HDF5 file with these arrays; in memory, because HDF5 would lock the file that is being written again."""
    import h5py

    weights = io.BytesIO(content)
    with h5py.File(weights, "r+") as file:
        for path, array in values.items():
            file[path][...] = array
    return weights.getvalue()
