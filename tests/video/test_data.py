import resource
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import combinations
from pathlib import Path

import av
import numpy as np
import pytest
from recordings import recording
from timed_videos import at_rate, timed_video

from convlstm_cli.errors import InputError
from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.data import SUBSETS, Subset, VideoData, prepare, restore


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


def test_what_means_no_data_is_recorded(tmp_path: Path) -> None:
    for name in "abc":
        frames = np.random.default_rng(ord(name)).integers(0, 90, (9, 16, 16)).astype(np.int16)
        np.save(tmp_path / f"{name}.npy", frames)
    records = [
        prepare(DataConfig((str(tmp_path),), height=16, width=16, missing=missing), 4, 2).to_dict()
        for missing in (None, -9999)
    ]
    assert [record["missing"] for record in records] == [None, -9999]


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


def folder_of(tmp_path: Path, **times: list[float]) -> Path:
    for number, (name, each) in enumerate(times.items()):
        timed_video(tmp_path / f"{name}.mp4", each, seed=number)
    return tmp_path


def with_gap(frames: int, before: int) -> list[float]:
    """10 frames a second, with a pause of 4 s after the first `before` frames."""
    return [number / 10 + 4 * (number >= before) for number in range(frames)]


def test_no_clip_spans_a_gap_and_what_is_left_out_is_said(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, a=with_gap(24, 12), b=with_gap(24, 5), c=with_gap(24, 24))
    data = prepare(DataConfig((str(folder),), height=32, width=32), 4, 3)
    clips = [clip for subset in SUBSETS for clip in data.clips(subset).clips]
    assert clips
    for name, start in clips:
        assert not any(start < cut < start + 7 for cut in {"a.mp4": [12], "b.mp4": [5]}.get(name, []))
    notes = {video.name: " ".join(video.notes) for video in data.library.videos}
    assert "a gap of 4.1 s between frames 12 and 13" in notes["a.mp4"]
    assert "5 of its 24 frames stand in pieces shorter than a clip" in notes["b.mp4"]
    assert "gap" not in notes["c.mp4"]
    assert "pieces" not in notes["c.mp4"]
    whole = prepare(DataConfig((str(folder),), height=32, width=32, max_gap=50), 4, 3)
    assert all(video.pieces == ((0, 24),) for video in whole.library.videos)


def test_different_rates_are_refused_with_the_option_that_helps(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, a=at_rate(30, 60), b=at_rate(30, 54), c=at_rate(10, 18), d=at_rate(10.2, 20))
    config = DataConfig((str(folder),), height=32, width=32)
    words = r"frame rates differ: 2 videos at 30 .*2 videos at 10.*--every 0\.1s"
    with pytest.raises(InputError, match=words) as caught:
        prepare(config, 4, 3)
    assert "a.mp4" in str(caught.value)
    assert len(prepare(config, 4, 3, one_rate=False).library.videos) == 4
    even = prepare(replace(config, every="100 ms"), 4, 3)
    assert [video.frames for video in even.library.videos] == [20, 18, 18, 20]
    assert even.step == pytest.approx(0.1, rel=0.05)
    assert even.to_dict()["settings"]["every"] == "0.1s"
    frames = prepare(replace(config, every="frame"), 4, 3)
    assert [video.frames for video in frames.library.videos] == [60, 54, 18, 20]
    assert frames.step is None


def test_clips_and_records_of_a_longer_step_are_of_the_source(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, a=at_rate(30, 60), b=at_rate(30, 60), c=at_rate(30, 60))
    data = prepare(DataConfig((str(folder),), height=32, width=32, every="0.1"), 4, 3)
    library, (segment,) = data.library, data.split.train
    np.testing.assert_array_equal(library.clip(segment.video, 2, 6), library.frames(segment.video)[6:18:3])
    [entry] = data.to_dict()["split"]["train"]
    assert (entry["start"], entry["stop"], entry["frames"]) == (0, 20, 20)
    assert (entry["source_start"], entry["source_stop"]) == (0, 58)
    assert restore(data.to_dict(), 4, 3).split == data.split
    entry["source_stop"] += 1
    record = data.to_dict()
    record["split"]["train"] = [entry]
    with pytest.raises(InputError, match="shows other frames"):
        restore(record, 4, 3)


def test_a_video_that_is_too_slow_for_the_step_is_named(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, **{name: at_rate(30, 60) for name in "abc"}, slow=at_rate(2, 20))
    [problem] = prepare(DataConfig((str(folder),), height=32, width=32, every="0.1s"), 4, 3).library.problems
    assert problem.path.name == "slow.mp4"
    assert "--every 0.5s" in problem.reason


def overlapping(folder: Path, begin: int) -> dict[str, list[int]]:
    """Writes two clips of one recording, frames 0 to 110 and `begin` to 160, with a gap each; returns their moments."""
    whole = recording(160, 4).reshape(-1, 8, 8).repeat(4, axis=1).repeat(4, axis=2)
    folder.mkdir()
    moments = {"a.mkv": [*range(20), *range(26, 110)], "b.mkv": [*range(begin, 130), *range(136, 160)]}
    for name, kept in moments.items():
        save_timed(folder / name, whole, kept, rate=10)
    return moments


@pytest.mark.parametrize(("every", "step"), [("frame", 1), ("0.2s", 2)])
def test_overlapping_clips_with_gaps_at_another_step_share_no_moment(tmp_path: Path, every: str, step: int) -> None:
    moments = overlapping(tmp_path / "videos", 50)
    data = prepare(DataConfig((str(tmp_path / "videos"),), height=32, width=32, every=every), 4, 2)
    shown = {subset: moments_of(data, subset, moments) for subset in SUBSETS}
    assert all(len(set(found)) > 4 for found in shown.values())
    for one, other in combinations(shown.values(), 2):
        assert not set(one) & set(other)
    assert np.median(np.diff(shown["train"])) == step


def test_clips_that_overlap_between_their_steps_are_not_divided(tmp_path: Path) -> None:
    """Every second frame of one clip lies between those of the other."""
    overlapping(tmp_path / "videos", 51)
    with pytest.raises(InputError, match=r"a\.mkv, b\.mkv belong together"):
        prepare(DataConfig((str(tmp_path / "videos"),), height=32, width=32, every="0.2s"), 4, 2)


def save_timed(path: Path, frames: np.ndarray, kept: list[int], rate: int) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=rate)
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "gray"
        for number in kept:
            frame = av.VideoFrame.from_ndarray(frames[number], format="gray")
            frame.pts, frame.time_base = number - kept[0], Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def moments_of(data: VideoData, subset: Subset, moments: dict[str, list[int]]) -> list[int]:
    """The moments of the whole recording that the segments of a subset show."""
    return [
        moments[segment.video][frame]
        for segment in getattr(data.split, subset)
        for frame in data.library.timelines[segment.video].taken[segment.start : segment.stop]
    ]
