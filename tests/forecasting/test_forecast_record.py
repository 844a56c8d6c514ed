import json
from pathlib import Path

from convlstm_cli.forecasting.config import PredictConfig
from convlstm_cli.forecasting.record import (
    RECORD,
    Contents,
    ForecastRecord,
    GuardRecord,
    MembersRecord,
    Origin,
    SourceState,
    SpreadRecord,
    TilesRecord,
)
from convlstm_cli.runs.record import build
from convlstm_cli.video.values import BYTES, ValueRange

ORIGIN = Origin(SourceState("/x/a.npy", "1"), ("2", "3"), {"frames": 5, "formats": ["png"]}, {"numpy": "2.0"})
ALONE = ForecastRecord(
    source="/x/a.npy",
    first_input_frame=1,
    last_input_frame=4,
    frames=5,
    fps=10.0,
    step=0.1,
    start="2024-01-01T00:00:00",
    valid_times=("2024-01-01T00:00:00.900000",),
    last_known_frame=9,
    scores=None,
    native_size=False,
    spread=None,
    guard=None,
    values=ValueRange(0.0, 80.0, "mm/h", log=True),
    run="runs/a",
    settings=PredictConfig(frames=5, formats=("png",)),
    made_from=ORIGIN,
    holds=Contents(5, 1000),
)
TOGETHER = ForecastRecord(
    source="/x/a.npy",
    first_input_frame=1,
    last_input_frame=4,
    frames=5,
    fps=10.0,
    step=None,
    start=None,
    valid_times=(0.5, 0.6),
    last_known_frame=4,
    scores={"skill": None},
    native_size=True,
    spread=SpreadRecord(0.1, "magma", (0.01, 0.02)),
    guard=GuardRecord((2, 3), {"model": (0.75, 1.0, 0.5), "persistence": (0.25, 0.0, 0.5)}),
    runs=("runs/a", "runs/b"),
    members=MembersRecord(20, 3, True, (0.1, 0.9), (5.0,), 0.6),
    tiles=(TilesRecord(4, (32, 48)), TilesRecord(1, (64, 96))),
    values=BYTES,
    settings=PredictConfig(native_size=True, tile=32, tile_overlap=8),
    made_from=ORIGIN,
    holds=Contents(5, 1000),
)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    for record in (ALONE, TOGETHER):
        record.write(tmp_path)
        content = json.loads((tmp_path / RECORD).read_text(encoding="utf-8"))
        assert build(ForecastRecord, content) == record


def test_shares_are_means_over_lead_times_with_the_last_weights_going_on() -> None:
    assert TOGETHER.guard is not None
    assert TOGETHER.guard.shares(2) == {"model": 0.875, "persistence": 0.125}
    assert TOGETHER.guard.shares(5) == {"model": 0.65, "persistence": 0.35}


def test_entries_that_do_not_apply_are_left_out() -> None:
    alone, together = ALONE.to_dict(), TOGETHER.to_dict()
    assert alone["run"] == "runs/a"
    assert not {"runs", "members", "tiles"} & alone.keys()
    assert alone["scores"] is alone["spread"] is None
    assert "run" not in together
    assert list(together)[-3:] == ["settings", "made_from", "holds"]


def test_hidden_files_and_the_record_do_not_count(tmp_path: Path) -> None:
    ALONE.write(tmp_path)
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "a.png").write_bytes(bytes(7))
    (tmp_path / "b.npy").write_bytes(bytes(5))
    (tmp_path / ".tiles-0").write_bytes(bytes(99))
    assert Contents.of(tmp_path) == Contents(2, 12)
