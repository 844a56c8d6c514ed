"""Reading saved Keras models: golden/saved-* were written by the real Keras 2.15 and 3 (scripts/verify-peers)."""

import io
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from convlstm_cli.errors import DependencyError, InputError, UsageError
from convlstm_cli.interop.keras_file import layer_names, read_layer, write_layer
from convlstm_cli.nn import ConvLSTM

h5py = pytest.importorskip("h5py")

GOLDEN = Path(__file__).parents[1] / "nn" / "golden"
MODELS = KERAS2, KERAS3 = [GOLDEN / f"saved-keras-{version}.keras" for version in ("2.15.0", "3.15.1")]
NAMES = ["first", "inner/deep"]

by_version = pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)


@pytest.fixture
def weights_file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The model.weights.h5 of a saved model, which is what save_weights writes."""
    path = tmp_path / "model.weights.h5"
    with zipfile.ZipFile(request.param) as archive:
        path.write_bytes(archive.read("model.weights.h5"))
    return path


def check(path: Path, names: list[str], options: list[dict[str, Any]], model: Path) -> None:
    """Our layers out of `path` make of the golden input of `model` what Keras made of it."""
    with np.load(model.with_suffix(".npz")) as golden:
        x, y = torch.as_tensor(golden["x"]).movedim(-1, -3), torch.as_tensor(golden["y"]).movedim(-1, -3)
    for name, option in zip(names, options, strict=True):
        x, _ = read_layer(path, name, **option)(x)
    torch.testing.assert_close(x, y, rtol=1e-5, atol=1e-6)


@by_version
def test_a_saved_model_gives_what_keras_computed(path: Path) -> None:
    assert layer_names(path) == NAMES
    check(path, NAMES, [{}, {}], path)


@by_version
def test_the_older_layout_gives_what_keras_computed(path: Path) -> None:
    assert layer_names(path.with_suffix(".h5")) == NAMES
    check(path.with_suffix(".h5"), NAMES, [{}, {}], path)


@by_version
def test_weights_alone_in_the_older_layout_need_the_options(path: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone.h5"
    with h5py.File(path.with_suffix(".h5")) as model, h5py.File(alone, "w") as file:
        for group in model["model_weights"]:
            model.copy(f"model_weights/{group}", file)
    assert layer_names(alone) == NAMES
    with pytest.raises(UsageError, match="does not say how first was made"):
        read_layer(alone, "first")
    version = "3.15.1" if path == KERAS3 else "2.15.0"
    gates = "sigmoid" if path == KERAS3 else "hard_sigmoid"
    first = {"config": {"padding": "same", "recurrent_activation": gates}, "keras_version": version}
    deep = {"config": {"padding": "valid", "recurrent_activation": "hard_sigmoid"}, "keras_version": version}
    check(alone, NAMES, [first, deep], path)


@by_version
def test_both_directions_of_a_wrapped_layer_are_read(path: Path) -> None:
    both = path.with_name(f"{path.stem}-both.keras")
    assert layer_names(both) == ["both/forward_line", "both/backward_line"]
    there, back = (read_layer(both, name) for name in layer_names(both))
    assert (there.go_backwards, back.go_backwards) == (False, True)
    with np.load(both.with_suffix(".npz")) as golden:
        x, y = torch.as_tensor(golden["x"]).movedim(-1, 2), torch.as_tensor(golden["y"]).movedim(-1, 2)
    made = torch.cat([there(x)[0], back(x)[0].flip(1)], dim=2)
    torch.testing.assert_close(made, y, rtol=1e-5, atol=1e-6)


@by_version
def test_the_hard_sigmoid_is_that_of_the_version_that_saved(path: Path) -> None:
    name = "hard_sigmoid_keras2" if path == KERAS2 else "hard_sigmoid_keras3"
    assert read_layer(path, "inner/deep").rules.gate_activation == name


@pytest.mark.parametrize(
    ("weights_file", "model", "names", "version"),
    [
        (KERAS2, KERAS2, ["conv_lstm2d", "sequential/conv_lstm2d"], "2.15.0"),
        (KERAS3, KERAS3, NAMES, "3"),
    ],
    indirect=["weights_file"],
)
def test_a_weights_file_needs_to_be_told_the_options(
    weights_file: Path, model: Path, names: list[str], version: str
) -> None:
    assert layer_names(weights_file) == names
    for name in names:
        with pytest.raises(UsageError, match=f"does not say how {name} was made; give config={{'padding'"):
            read_layer(weights_file, name)
    gates = "hard_sigmoid" if model == KERAS2 else "sigmoid"
    first = {"config": {"padding": "same", "recurrent_activation": gates}, "keras_version": version}
    deep = {"config": {"padding": "valid", "recurrent_activation": "hard_sigmoid"}, "keras_version": version}
    check(weights_file, names, [first, deep], model)


def test_options_are_not_given_twice() -> None:
    with pytest.raises(UsageError, match="says itself how first was made"):
        read_layer(KERAS3, "first", config={"padding": "same"})


def test_a_layer_that_is_not_there() -> None:
    with pytest.raises(InputError, match="no ConvLSTM layer 'second'; it has first, inner/deep"):
        read_layer(KERAS3, "second")


def test_an_option_that_a_layer_cannot_express_names_file_and_layer(tmp_path: Path) -> None:
    path = tmp_path / "softmax.keras"
    with zipfile.ZipFile(KERAS3) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name).replace(b'"activation": "tanh"', b'"activation": "softmax"'))
    with pytest.raises(UsageError, match=r"softmax\.keras: layer first: activation is 'softmax'"):
        read_layer(path, "first")


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@by_version
def test_a_layer_is_written_back_and_the_rest_of_the_file_stays(path: Path, suffix: str, tmp_path: Path) -> None:
    source, target = path.with_suffix(suffix), tmp_path / f"written{suffix}"
    layer = read_layer(source, "inner/deep")
    with torch.no_grad():
        layer.weight_hh.mul_(2.0)
    write_layer(layer, "inner/deep", source, target)
    assert torch.equal(read_layer(target, "inner/deep").weight_hh, layer.weight_hh)
    first, same = read_layer(source, "first"), read_layer(target, "first")
    assert all(torch.equal(value, same.state_dict()[name]) for name, value in first.state_dict().items())
    if suffix == ".keras":
        with zipfile.ZipFile(source) as before, zipfile.ZipFile(target) as after:
            assert before.namelist() == after.namelist()
            assert before.read("config.json") == after.read("config.json")
    write_layer(read_layer(source, "inner/deep"), "inner/deep", target, target)
    check(target, NAMES, [{}, {}], path)


@pytest.mark.parametrize("weights_file", [KERAS3], indirect=True)
def test_a_file_of_weights_is_written_with_the_options_given(weights_file: Path) -> None:
    made: dict[str, Any] = {"config": {"padding": "same", "recurrent_activation": "sigmoid"}, "keras_version": "3.15.1"}
    layer = read_layer(weights_file, "first", **made)
    with torch.no_grad():
        layer.weight_hh.mul_(2.0)
    with pytest.raises(UsageError, match="does not say how first was made"):
        write_layer(layer, "first", weights_file, weights_file)
    write_layer(layer, "first", weights_file, weights_file, **made)
    assert torch.equal(read_layer(weights_file, "first", **made).weight_hh, layer.weight_hh)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (ConvLSTM(1, 3, 3, peephole="none", padding="valid"), "layer first: it has padding='same' and the .* 'valid'"),
        (
            ConvLSTM(2, 3, 3, peephole="none"),
            r"layer first: its kernel has shape \(3, 3, 1, 12\), and .* \(3, 3, 2, 12\)",
        ),
        (ConvLSTM(1, 3, 3), "it has no peepholes"),
    ],
)
def test_a_layer_that_computes_something_else_is_not_written(layer: ConvLSTM, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        write_layer(layer, "first", KERAS3, tmp_path / "written.keras")
    assert not (tmp_path / "written.keras").exists()


def test_a_bias_more_must_be_zero_and_one_less_is_zero(tmp_path: Path) -> None:
    target = tmp_path / "written.keras"
    options: dict[str, Any] = {"peephole": "none", "padding": "valid", "gate_activation": "hard_sigmoid_keras3"}
    with pytest.raises(UsageError, match=r"layer inner/deep: it has no bias \(use_bias=False\)"):
        write_layer(ConvLSTM(3, 2, (3, 5), **options), "inner/deep", KERAS3, target)
    write_layer(ConvLSTM(3, 2, (3, 5), forget_bias=0.0, **options), "inner/deep", KERAS3, target)
    write_layer(ConvLSTM(1, 3, peephole="none", bias=False), "first", KERAS3, target)
    bias = read_layer(target, "first").bias
    assert bias is not None
    assert not bias.any()


def test_files_that_are_something_else(tmp_path: Path) -> None:
    (tmp_path / "text.keras").write_text("hello")
    (tmp_path / "text.weights.h5").write_text("hello")
    with zipfile.ZipFile(tmp_path / "empty.keras", "w"):
        pass
    with zipfile.ZipFile(tmp_path / "broken.keras", "w") as archive:
        archive.writestr("config.json", "{")
    for name in ("text.keras", "text.weights.h5", "empty.keras", "broken.keras", "missing.keras", "missing.weights.h5"):
        with pytest.raises(InputError, match=rf"{name} cannot be read as a \.keras, \.weights\.h5 or \.h5 file"):
            layer_names(tmp_path / name)


def test_other_recurrent_layers_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "mixed.weights.h5"
    with h5py.File(path, "w") as file:
        for kind, axes in (("lstm", 2), ("conv_lstm1d", 3), ("conv_lstm2d", 4), ("conv_lstm3d", 5)):
            for index in range(2):
                file[f"layers/{kind}/cell/vars/{index}"] = np.ones((1,) * (axes - 1) + (4,), np.float32)
    assert layer_names(path) == ["conv_lstm1d", "conv_lstm2d", "conv_lstm3d"]


def test_layers_are_counted_in_their_model(tmp_path: Path) -> None:
    """Twelve layers: the eleventh is conv_lstm2d_10, which is not between the second and the third."""
    path, arrays = tmp_path / "deep.keras", io.BytesIO()
    config = {"padding": "same", "recurrent_activation": "sigmoid"}
    with h5py.File(arrays, "w") as file:
        for layer in range(12):
            group = "layers/conv_lstm2d" + (f"_{layer}" if layer else "")
            for index in range(2):
                file[f"{group}/cell/vars/{index}"] = np.full((1, 1, 1, 4), layer, np.float32)
    layers = [{"class_name": "ConvLSTM2D", "config": {"name": f"l{layer}", **config}} for layer in range(12)]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps({"config": {"layers": layers}}))
        archive.writestr("metadata.json", json.dumps({"keras_version": "2.15.0"}))
        archive.writestr("model.weights.h5", arrays.getvalue())
    assert layer_names(path) == [f"l{layer}" for layer in range(12)]
    assert [read_layer(path, f"l{layer}").weight_hh.max().item() for layer in range(12)] == list(range(12))
    alone = tmp_path / "deep.weights.h5"
    alone.write_bytes(arrays.getvalue())
    assert layer_names(alone) == ["conv_lstm2d", *(f"conv_lstm2d_{layer}" for layer in range(1, 12))]


def test_without_h5py_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(DependencyError, match=r"pip install 'convlstm\[keras\]'"):
        layer_names(KERAS3)
