import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from helpers import moving_square
from recordings import recording
from timed_videos import at_rate, timed_video

from convlstm_cli.errors import InputError, RunError
from convlstm_cli.nn import ForecasterConfig
from convlstm_cli.progress import Progress
from convlstm_cli.runs import prints
from convlstm_cli.runs.run import Run
from convlstm_cli.scoring.held_out import of_folders, own_test
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.data import VideoData, prepare
from convlstm_cli.video.library import Segment, Split
from convlstm_cli.video.values import ValueRange

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


def test_values_of_another_kind_than_those_of_the_training_are_told(
    make_folder: Callable[..., Path], tmp_path: Path
) -> None:
    run = run_of(prepared(make_folder(6)), tmp_path / "run")
    run.config["data"]["values"] = ValueRange(0.0, 80.0, "mm/h").to_dict()
    new = make_folder(2, name="new")
    for number in range(2):
        np.save(new / f"square{number}.npy", moving_square(14, seed=77 + number))
    of_folders([run], [new], 7, notes := Notes())
    assert [note for note in notes.notes if "square0.npy and 1 more: holds 8-bit pictures, and the training" in note]


def bouncing(frames: int, seed: int) -> npt.NDArray[np.uint8]:
    """(T, 32, 32, 1): blobs that bounce, whose prints are those of `recording`."""
    prints = recording(frames, seed).reshape(frames, 8, 8)
    return prints.repeat(4, axis=1).repeat(4, axis=2)[..., None]


def learned_run(tmp_path: Path, names: list[str], group_by: str = "auto") -> tuple[Run, VideoData]:
    folder = tmp_path / "videos"
    folder.mkdir()
    for seed, name in enumerate(names):
        np.save(folder / name, bouncing(40, seed))
    data = prepare(DataConfig((str(folder),), height=32, width=32, group_by=group_by), 4, 3)
    run = run_of(data, tmp_path / "run")
    prints.write(run.folder, data.learned_prints())
    return run, data


def test_moments_of_training_videos_are_recognised_in_other_files(tmp_path: Path) -> None:
    run, data = learned_run(tmp_path, [f"{letter}.npy" for letter in "abcdef"])
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    seeds = {f"{letter}.npy": seed for seed, letter in enumerate("abcdef")}
    trained, tested = (bouncing(40, seeds[part[0].video]) for part in (data.split.train, data.split.test))
    noise = np.random.default_rng(0).integers(-2, 3, trained.shape)
    np.save(elsewhere / "noisy.npy", np.clip(trained.astype(int) + noise, 0, 255).astype(np.uint8))
    np.save(elsewhere / "longer.npy", np.concatenate((bouncing(20, 50), trained[10:30], bouncing(20, 51))))
    np.save(elsewhere / "tested.npy", np.maximum(tested, 1))
    shutil.rmtree(tmp_path / "videos")  # the run remembers them by itself
    found = of_folders([run], [elsewhere], 7, notes := Notes())
    assert found.left_out == ("noisy.npy",)
    assert found.cut == ("longer.npy",)
    longer, tested_whole = (
        [(each.start, each.stop) for each in found.segments if each.video == name]
        for name in ("longer.npy", "tested.npy")
    )
    assert tested_whole == [(0, 40)]
    assert longer[0] == (0, 10)  # frames 10 to 50 lie where the training video's frames 0 to 40 would
    assert longer[1] == (50, 60)
    assert any("noisy.npy: 40 frames show moments of" in note for note in notes.notes)


@pytest.mark.parametrize("group_by", ["auto", r"person\d"])
def test_videos_of_a_trained_group_are_left_out(tmp_path: Path, group_by: str) -> None:
    names = [f"person{person}_{action}.npy" for person in range(4) for action in ("run", "walk")]
    run, data = learned_run(tmp_path, names, group_by)
    trained, tested = (part[0].video.split("_")[0] for part in (data.split.train, data.split.test))
    for folder in (tmp_path / "videos", tmp_path / "elsewhere"):
        folder.mkdir(exist_ok=True)
        np.save(folder / f"{trained}_jump.npy", bouncing(20, 60))
        np.save(folder / f"{tested}_jump.npy", bouncing(20, 61))
    found = of_folders([run], [tmp_path / "videos"], 7, notes := Notes())
    assert f"{trained}_jump.npy" in found.left_out
    assert {segment.video.split("_")[0] for segment in found.segments} == {tested}
    assert any(f"is of the group {trained}" in note for note in notes.notes)
    # The same name elsewhere may be chance, unless people asked for the groups.
    new = of_folders([run], [tmp_path / "elsewhere"], 7, Progress())
    assert new.left_out == (() if group_by == "auto" else (f"{trained}_jump.npy",))


def test_damaged_prints_are_one_error(tmp_path: Path) -> None:
    run, data = learned_run(tmp_path, [f"{letter}.npy" for letter in "abc"])
    new = tmp_path / "new.npy"
    np.save(new, bouncing(20, 60))
    for damage in (data.learned_prints()[1:], data.learned_prints()[:, 1:]):
        prints.write(run.folder, damage)
        with pytest.raises(RunError, match=r"prints\.safetensors: is damaged"):
            of_folders([run], [new], 7, Progress())
    (run.folder / prints.NAME).write_bytes(b"\xff" * 50)
    with pytest.raises(RunError, match=r"prints\.safetensors: is damaged"):
        of_folders([run], [new], 7, Progress())
    (run.folder / prints.NAME).unlink()
    assert of_folders([run], [new], 7, Progress()).segments == (Segment("new.npy", 0, 20),)


def test_frames_that_are_held_out_are_those_of_the_source_at_any_step(tmp_path: Path) -> None:
    (folder := tmp_path / "videos").mkdir()
    times = [number / 30 + 4 * (number >= 150) for number in range(300)]
    timed_video(folder / "v.mp4", times)
    data = prepare(DataConfig((str(folder),), height=32, width=32, every="0.1s"), 4, 3)
    run = run_of(data, tmp_path / "run")
    assert set(own_test([run], Progress()).segments) == set(data.split.test)
    dense = prepare(DataConfig((str(folder),), height=32, width=32, every="frame", test=0.1), 4, 3)
    found = own_test([run, run_of(dense, tmp_path / "dense")], Progress())
    tested = {frame for segment in dense.split.test for frame in range(segment.start, segment.stop)}
    timeline = found.library.timelines["v.mp4"]
    assert 0 < sum(segment.stop - segment.start for segment in found.segments) <= len(tested) / 3
    for segment in found.segments:
        assert set(timeline.taken[segment.start : segment.stop]) <= tested


def test_another_rate_than_that_of_the_training_is_noted(tmp_path: Path, make_folder: Callable[..., Path]) -> None:
    (folder := tmp_path / "slow").mkdir()
    timed_video(folder / "v.mp4", at_rate(10, 14))
    run = run_of(prepared(make_folder()), tmp_path / "run")
    run.config["data"]["step"] = 1 / 30
    of_folders([run], [folder], 7, notes := Notes())
    assert any("v.mp4 (10 frames a second)" in note and "30 frames a second" in note for note in notes.notes)
