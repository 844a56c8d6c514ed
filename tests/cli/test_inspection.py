import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers import moving_square
from PIL import Image
from recordings import recording
from timed_videos import at_rate, timed_video

from convlstm_cli.cli import console
from convlstm_cli.cli.inspection import inspect_data, inspect_run, inspect_video, plan
from convlstm_cli.cli.inspection_views import data_view, plan_view, run_view, video_view
from convlstm_cli.compute.device import choose
from convlstm_cli.nn import ForecasterConfig
from convlstm_cli.nn.forecaster import parameter_count
from convlstm_cli.train import train
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.data import SUBSETS, prepare

MODEL = ForecasterConfig(32, 32, 1, hidden=(4,), kernel_size=3, input_frames=4, horizon=3)


def test_a_video_is_counted_by_decoding(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", moving_square(9, seed=0, channels=3))
    found = inspect_video(tmp_path / "a.npy")
    assert (found.frames, found.height, found.width, found.colour) == (9, 32, 32, "rgb")
    assert found.to_dict()["path"] == str(tmp_path / "a.npy")


def write_shades(folder: Path, *forms: str) -> None:
    """Writes 20 images for each form of names, no two alike."""
    folder.mkdir()
    for position, form in enumerate(forms):
        for number in range(20):
            Image.new("L", (40, 32), 20 * position + number).save(folder / form.format(number))


def test_a_folder_says_what_it_leaves_out(tmp_path: Path) -> None:
    write_shades(tmp_path / "one", "f{}.png", "f{}_mask.png")
    found = inspect_video(tmp_path / "one")
    assert found.frames == 20
    (note,) = found.to_dict()["notes"]
    assert "20 images (f*_mask.png), masks" in note
    assert note in video_view(found)


def test_a_folder_of_two_sequences_is_two_videos(tmp_path: Path) -> None:
    write_shades(tmp_path / "two", "walk_{}.png", "wave_{}.png")
    data = prepare(DataConfig((str(tmp_path / "two"),), height=32, width=32), 4, 3)
    found = inspect_data(data)
    assert [(video.name, video.frames) for video in found.videos] == [("walk_*.png", 20), ("wave_*.png", 20)]
    (note,) = found.to_dict()["notes"]
    assert note.startswith(f"{tmp_path / 'two'}: holds 2 videos")
    assert note in data_view(found)
    assert inspect_video(tmp_path / "two" / "walk_*.png").frames == 20
    shown = plan_view(plan(data, MODEL, TrainConfig(batch_size=5), choose("cpu")))
    assert note not in shown  # the videos were prepared with it


def test_a_plan_says_what_training_would_do(make_folder: Callable[..., Path]) -> None:
    data = prepare(DataConfig((str(make_folder()),), height=32, width=32), 4, 3)
    found = plan(data, MODEL, TrainConfig(batch_size=5), choose("cpu"))
    assert found.batch_shape == (5, 7, 1, 32, 32)
    assert found.parameters == parameter_count(MODEL)
    assert found.data.clips == {subset: len(data.clips(subset)) for subset in SUBSETS}
    assert inspect_data(data).frames == 6 * 14
    assert json.loads(json.dumps(found.to_dict()))["frame_shape"] == [1, 32, 32]


@pytest.mark.usefixtures("without_charts")
def test_a_run_has_its_epochs_and_scores(
    make_folder: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = prepare(DataConfig((str(make_folder()),), height=32, width=32), 4, 3)
    result = train(data, MODEL, TrainConfig(max_steps=2, device="cpu"), tmp_path / "run")
    found = inspect_run(result.run)
    assert len(found.history) == found.to_dict()["epochs"] == 1
    assert found.test is not None
    assert found.test["model"]["mean"]["mse"] == pytest.approx(result.test.model.mean_mse)
    console.show(*run_view(found))
    shown = capsys.readouterr().out
    names = sorted(segment.video for segment in data.split.train)
    assert re.search(rf"^ train +{', '.join(names[:3])} and 1 more *$", shown, re.MULTILINE)
    assert "recurrent kernel size" not in shown  # which is that of the kernels


def test_a_folder_lists_its_groups_and_overlaps(tmp_path: Path) -> None:
    whole = recording(70, 5).reshape(70, 8, 8, 1).repeat(4, axis=1).repeat(4, axis=2)
    for person in range(4):
        own = recording(30, person).reshape(30, 8, 8, 1).repeat(4, axis=1).repeat(4, axis=2)
        np.save(tmp_path / f"person{person}_own.npy", own)
        np.save(tmp_path / f"person{person}_shared.npy", whole[10 * person : 10 * person + 30])
    config = DataConfig((str(tmp_path),), height=32, width=32)
    found = inspect_data(prepare(config, 4, 3)).to_dict()
    assert found["groups"] == {}  # the overlaps join all of them, so that they are given up
    shared = {(each["first"][6], each["second"][6], each["shift"], each["frames"]) for each in found["overlaps"]}
    assert {("0", "1", 10, 20), ("1", "2", 10, 20), ("2", "3", 10, 20)} <= shared
    for person in range(4):
        (tmp_path / f"person{person}_shared.npy").rename(tmp_path / f"person0_{person}.npy")
    apart = inspect_data(prepare(config, 4, 3))
    assert {group: len(names) for group, names in apart.to_dict()["groups"].items()} == {
        "person0": 5,
        **{f"person{person}": 1 for person in (1, 2, 3)},
    }
    assert len(apart.kept_together) == 2
    assert "--group-by none" in apart.kept_together[0]


def test_a_gap_shows_in_the_facts_and_in_words(tmp_path: Path) -> None:
    times = [number / 480 + (number >= 12) for number in range(27)]
    found = inspect_video(timed_video(tmp_path / "a.mp4", times))
    facts = json.loads(json.dumps(found.to_dict()))
    assert facts["fps"] is not None
    assert facts["step"] == pytest.approx(1 / 480, rel=0.01)
    assert facts["times"] == pytest.approx(times, abs=1e-4)
    assert [segment["frames"] for segment in facts["segments"]] == [12, 15]
    shown = " ".join(text for text in video_view(found) if isinstance(text, str))
    assert "gap of 1 s between frames 12 and 13" in shown


def test_a_folder_of_mixed_rates_is_shown_and_not_refused(tmp_path: Path) -> None:
    for number, fps in enumerate((30, 30, 10, 10)):
        timed_video(tmp_path / f"{number}.mp4", at_rate(fps, 20), seed=number)
    found = inspect_data(prepare(DataConfig((str(tmp_path),), height=32, width=32), 4, 3, one_rate=False))
    assert found.rates is not None
    assert found.rates.startswith("frame rates differ: 2 videos at 30 frames a second (0.mp4, 1.mp4)")
    assert found.rates in data_view(found)
    facts = json.loads(json.dumps(found.to_dict()))
    assert [video["step"] for video in facts["videos"]] == pytest.approx([1 / 30, 1 / 30, 0.1, 0.1], abs=1e-3)
    assert all(video["pieces"] == [[0, 20]] for video in facts["videos"])
