from pathlib import Path
from typing import Any

import pytest
from helpers import data_record

from convlstm_cli.errors import UsageError
from convlstm_cli.forecasting.config import PredictConfig
from convlstm_cli.forecasting.working_size import LONGEST, check_works_at, working_geometry
from convlstm_cli.runs.run import Run
from convlstm_cli.video.geometry import FrameGeometry
from convlstm_cli.weights.pretrained import Pretrained


def run(peephole: str = "channel", **options: object) -> Run:
    model: dict[str, Any] = {"height": 32, "width": 48, "channels": 1, "peephole": peephole, **options}
    return Run(Path("some"), {"model": model, "data": data_record(32, 48, fit="crop")})


def test_a_run_works_at_its_size_unless_another_is_asked_for() -> None:
    assert working_geometry(run(), PredictConfig(), 100, 200) == FrameGeometry(32, 48, "crop")
    assert working_geometry(run(), PredictConfig(size="model"), 100, 200) == FrameGeometry(32, 48, "crop")
    assert working_geometry(run(), PredictConfig(size="64x80"), 100, 200) == FrameGeometry(64, 80, "crop")
    assert working_geometry(run(), PredictConfig(native_size=True), 100, 200) is None


@pytest.mark.parametrize(
    ("source", "works_at"),
    [
        ((64, 64), None),
        ((50, 99), None),  # any size: edges are repeated up to whole patches
        ((LONGEST, 16), None),
        ((2 * LONGEST, LONGEST), (LONGEST, LONGEST // 2)),
        ((1080, 1920), (432, 768)),
        ((10, 300), (16, 300)),
        ((20, 4000), (16, 768)),
    ],
)
def test_the_shipped_weights_work_at_the_sources_size(
    source: tuple[int, int], works_at: tuple[int, int] | None
) -> None:
    found = working_geometry(Pretrained(), PredictConfig(), *source)
    assert found == (None if works_at is None else FrameGeometry(*works_at, "stretch"))
    assert working_geometry(Pretrained(settled=True), PredictConfig(), *source) == FrameGeometry(64, 64)


def test_what_cannot_work_at_the_size_is_refused() -> None:
    check_works_at([run("full")], PredictConfig())
    check_works_at([run(), Pretrained()], PredictConfig(size="64"))
    with pytest.raises(UsageError, match="--size: some has --peephole full"):
        check_works_at([run(), run("full")], PredictConfig(size="64"))
    with pytest.raises(UsageError, match="--native-size: some has --peephole full"):
        check_works_at([run("full")], PredictConfig(native_size=True))
    with pytest.raises(UsageError, match="--native-size: some has --layer-norm"):
        check_works_at([run(layer_norm=True)], PredictConfig(native_size=True))
    with pytest.raises(UsageError, match="--size has width 50"):
        check_works_at([run()], PredictConfig(size="64x50"))
    for wrong in ("large", "0", "8"):
        with pytest.raises(UsageError, match="--size"):
            PredictConfig(size=wrong)
    with pytest.raises(UsageError, match="--size is 64 and --native-size"):
        PredictConfig(size="64", native_size=True)
