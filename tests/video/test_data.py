import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from convlstm_cli.errors import InputError
from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.data import SUBSETS, prepare, restore


def test_subsets_share_no_video_and_use_all(make_folder: Callable[..., Path]) -> None:
    data = prepare(DataConfig((str(make_folder(videos=8)),), height=32, width=32, split_seed=1), 4, 3)
    videos = {name: {segment.video for segment in getattr(data.split, name)} for name in SUBSETS}
    assert not videos["train"] & videos["test"]
    assert not videos["train"] & videos["validation"]
    assert not videos["validation"] & videos["test"]
    assert len(set().union(*videos.values())) == 8


def test_scored_frames_are_scored_once_and_training_takes_every_window(make_folder: Callable[..., Path]) -> None:
    data = prepare(DataConfig((str(make_folder(frames=14)),), height=32, width=32), 4, 3)
    starts = [start for video, start in data.clips("test").clips if video == data.split.test[0].video]
    assert starts == [0, 3, 6]
    assert len(data.clips("train")) == len(data.split.train) * (14 - 7 + 1)


def test_colour_is_found_out_or_chosen(make_folder: Callable[..., Path]) -> None:
    colour = str(make_folder(name="colour", channels=3))
    assert prepare(DataConfig((colour,), height=32, width=32), 4, 3).channels == 3
    grey = prepare(DataConfig((colour,), height=32, width=32, colour="grey"), 4, 3)
    assert grey.clips("train")[0].shape == (7, 1, 32, 32)
    plain = str(make_folder(name="plain"))
    assert prepare(DataConfig((plain,), height=32, width=32), 4, 3).channels == 1


def test_a_record_gives_the_same_split_again(make_folder: Callable[..., Path]) -> None:
    folder = make_folder()
    data = prepare(DataConfig((str(folder),), height=32, width=32, split_seed=5), 4, 3)
    assert restore(data.to_dict(), 4, 3).split == data.split
    np.save(folder / "later.npy", np.random.default_rng(9).integers(0, 255, (14, 32, 32), np.uint8))
    assert restore(data.to_dict(), 4, 3).split == data.split


def test_broken_videos_are_listed_and_the_rest_is_used(make_folder: Callable[..., Path]) -> None:
    folder = make_folder()
    (folder / "broken.mp4").write_bytes(b"no video at all")
    np.save(folder / "short.npy", np.zeros((3, 32, 32), np.uint8))
    data = prepare(DataConfig((str(folder),), height=32, width=32), 4, 3)
    assert len(data.library.videos) == 6
    assert {Path(problem["path"]).name for problem in data.to_dict()["problems"]} == {"broken.mp4", "short.npy"}


def test_nothing_usable_says_so(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video at all")
    with pytest.raises(InputError, match=r"broken\.mp4"):
        prepare(DataConfig((str(tmp_path),), height=32, width=32), 4, 3)


def test_more_videos_than_files_may_be_open(tmp_path: Path) -> None:
    for index in range(60):
        np.save(tmp_path / f"{index}.npy", np.full((7, 16, 16), 4 * index, np.uint8))
    clips = prepare(DataConfig((str(tmp_path),), height=16, width=16), 4, 3).clips("train")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (40, hard))
    try:
        assert len([clips[index] for index in range(len(clips))]) == len(clips) > 40
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
