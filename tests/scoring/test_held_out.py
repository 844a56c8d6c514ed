import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from helpers import moving_square

from convlstm_cli.errors import InputError
from convlstm_cli.nn import ForecasterConfig
from convlstm_cli.progress import Progress
from convlstm_cli.runs.run import Run
from convlstm_cli.scoring.held_out import of_folders, own_test
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.data import VideoData, prepare
from convlstm_cli.video.library import Segment, Split

MODEL = ForecasterConfig(32, 32, 1, hidden=(4,), kernel_size=3, input_frames=4, horizon=3)


class Notes(Progress):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


def run_of(data: VideoData, folder: Path) -> Run:
    """A run that was begun, whose record is all that is read here."""
    return Run.create(folder, {"model": asdict(MODEL), "training": asdict(TrainConfig()), "data": data.to_dict()})


def prepared(folder: Path, seed: int = 0) -> VideoData:
    return prepare(DataConfig((str(folder),), height=32, width=32, split_seed=seed), 4, 3)


@pytest.mark.parametrize("videos", [1, 2, 6])
def test_the_training_folder_gives_the_test_split(
    videos: int, make_folder: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make_folder(videos, frames=40)
    data = prepared(folder)
    run = run_of(data, tmp_path / "run")
    assert set(own_test([run], Progress()).segments) == set(data.split.test)
    found = of_folders([run], [folder], 7, notes := Notes())
    assert set(found.segments) == set(data.split.test)
    others = videos - len({segment.video for segment in data.split.test})
    assert len(found.left_out) == others
    assert len(found.cut) == (1 if videos < 3 else 0)
    assert any(f"{others} of {videos} videos are left out" in note for note in notes.notes) == bool(others)


def test_new_videos_count_whole_and_renamed_copies_are_recognised(
    make_folder: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make_folder(6)
    data = prepared(folder)
    run = run_of(data, tmp_path / "run")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    np.save(elsewhere / "new.npy", moving_square(14, seed=99))
    trained, chosen, tested = (getattr(data.split, subset)[0].video for subset in ("train", "validation", "test"))
    for name, video in (("copy", trained), ("other", chosen), ("tested", tested)):
        shutil.copy(folder / video, elsewhere / f"{name}.npy")
    found = of_folders([run], [elsewhere], 7, Notes())
    assert found.segments == (Segment("new.npy", 0, 14), Segment("tested.npy", 0, 14))
    assert found.left_out == ("copy.npy", "other.npy")


def test_nothing_left_is_one_error(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_folder(6)
    data = prepared(folder)
    run = run_of(data, tmp_path / "run")
    only = folder / data.split.train[0].video
    with pytest.raises(InputError, match=r"trained on all 1 videos.*leave FOLDER out"):
        of_folders([run], [only], 7, Progress())


def test_a_recording_that_goes_on_at_the_same_path_is_still_the_trained_one(
    make_folder: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make_folder(6)
    data = prepared(folder)
    run = run_of(data, tmp_path / "run")
    path = folder / data.split.train[0].video
    np.save(path, np.concatenate((np.load(path), moving_square(14, seed=50))))
    with pytest.raises(InputError):
        of_folders([run], [path], 7, Progress())


def test_a_file_exchanged_for_a_test_video_counts_as_that(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    """What a video shows decides before where it lies."""
    folder = make_folder(6)
    data = prepared(folder)
    run = run_of(data, tmp_path / "run")
    path = folder / data.split.train[0].video
    shutil.copy(folder / data.split.test[0].video, path)
    assert of_folders([run], [path], 7, Progress()).segments == (Segment(path.name, 0, 14),)


def test_no_member_of_an_ensemble_was_trained_on_what_is_left(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_folder(2, frames=40)
    data = prepared(folder)
    name = data.split.test[0].video
    start, stop = data.split.test[0].start, data.split.test[0].stop
    moved = Split(
        train=data.split.train,
        validation=(Segment(name, 0, start + 2),),
        test=(Segment(name, start + 2, stop),),
        how="otherwise",
    )
    runs = [run_of(data, tmp_path / "a"), run_of(replace(data, split=moved), tmp_path / "b")]
    both = (Segment(name, start + 2, stop),)
    assert of_folders(runs, [folder], 7, Progress()).segments == both
    assert own_test(runs, Progress()).segments == both


def test_what_cannot_be_used_is_told(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    run = run_of(prepared(make_folder(6)), tmp_path / "run")
    new = make_folder(2, name="new", frames=20)
    np.save(new / "square0.npy", moving_square(20, seed=77))
    np.save(new / "square1.npy", moving_square(20, seed=78))
    np.save(new / "short.npy", moving_square(5, seed=79))
    found = of_folders([run], [new], 7, notes := Notes())
    assert len(found.segments) == 2
    assert any("short.npy" in note and "5 of the 7 frames" in note for note in notes.notes)
