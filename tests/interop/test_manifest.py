import json
from dataclasses import asdict
from typing import Any, get_args

from exporting import described

from convlstm_cli.interop.manifest import FITS, CheckEntry, describe
from convlstm_cli.interop.onnx_program import OnnxFiles
from convlstm_cli.nn import ForecasterConfig
from convlstm_cli.video.config import Fit
from convlstm_cli.video.values import BYTES, ValueRange

CONFIG = ForecasterConfig(16, 24, 3, hidden=(4,), input_frames=5, horizon=7)


def test_every_fit_has_a_rule() -> None:
    assert set(FITS) == set(get_args(Fit))


def test_shapes_are_those_of_the_network_and_programs_are_entries() -> None:
    manifest = describe(
        CONFIG,
        "crop",
        run="mine",
        versions={"torch": "2.6"},
        parameters=3,
        test_scores=None,
        programs={"onnx": OnnxFiles("forecaster.onnx", None, 18)},
        check=CheckEntry(1e-4, {"onnx": None}),
    )
    content = json.loads(json.dumps(manifest.to_dict()))
    assert content["frames"]["shape"] == ["batch", 5, 3, 16, 24]
    assert content["forecast"]["shape"] == ["batch", "horizon", 3, 16, 24]
    assert (content["frames"]["colour"], content["frames"]["fit"]) == ("RGB", "crop")
    assert content["frames"]["fit_rule"] == FITS["crop"]
    assert content["horizon"]["trained"] == 7
    assert content["network"] == json.loads(json.dumps(asdict(CONFIG)))
    assert content["onnx"] == {"file": "forecaster.onnx", "weights": None, "opset": 18}
    assert "programs" not in content
    assert list(content)[-2:] == ["onnx", "check"]


def test_the_range_of_values_is_entered_with_its_rule() -> None:
    def frames(values: ValueRange | None, missing: float | None = None) -> Any:
        manifest = described(CONFIG, values, missing)
        return json.loads(json.dumps(manifest.to_dict()))["frames"]

    rain = frames(ValueRange(0.0, 80.0, "mm/h", log=True), 255.0)
    assert rain["values"] == {"low": 0.0, "high": 80.0, "unit": "mm/h", "log": True}
    assert rain["values_rule"] == "log(1 + 255 x) / log(256) of x = (value - low) / (high - low), clipped to [0, 1]"
    assert (rain["missing"], frames(BYTES)["missing"]) == (255.0, None)
    assert frames(BYTES)["values_rule"] == "(value - low) / (high - low), clipped to [0, 1]"
    assert frames(None)["values"] is None
