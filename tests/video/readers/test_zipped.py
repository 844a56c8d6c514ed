import zipfile
from pathlib import Path

import numpy as np
import pytest
from video_helpers import read, write_image

from convlstm_cli.errors import InputError
from convlstm_cli.video.cache import fingerprint_of
from convlstm_cli.video.readers import open_video
from convlstm_cli.video.search import find_videos


def archive(path: Path, *names: str) -> dict[str, np.ndarray]:
    """Writes images of noise into an archive."""
    random = np.random.default_rng(0)
    frames = {name: random.integers(0, 256, (9, 8, 3), np.uint8) for name in names}
    with zipfile.ZipFile(path, "w") as file:
        for name, frame in frames.items():
            image = write_image(path.parent / "image.png", frame)
            file.write(image, name)
            image.unlink()
        file.writestr("__MACOSX/a/._1.png", b"x")
        file.writestr("notes.txt", b"x")
    return frames


def test_one_folder_is_a_video_with_the_times_in_its_names(tmp_path: Path) -> None:
    names = [f"a/radar_20240501_120{minute}.png" for minute in (2, 0, 1)]
    frames = archive(tmp_path / "f.zip", *names)
    assert [video.name for video in find_videos([tmp_path]).videos] == ["f.zip"]
    with open_video(tmp_path / "f.zip") as video:
        np.testing.assert_array_equal(list(video), [frames[name] for name in sorted(names)])
        assert (video.kind, video.time, video.declared_frames) == ("zip", 120, 3)
    assert fingerprint_of(tmp_path / "f.zip")


def test_several_sequences_are_parts_of_the_archive(tmp_path: Path) -> None:
    frames = archive(
        tmp_path / "f.zip", *(f"{folder}/{side}_{i}.png" for folder in "ab" for side in "lr" for i in (1, 2))
    )
    found = find_videos([tmp_path])
    assert [video.name for video in found.videos] == [f"f.zip::{f}/{side}_*.png" for f in "ab" for side in "lr"]
    assert "holds 4 videos by the folders and names of its images" in found.notes[0].text
    np.testing.assert_array_equal(read(found.videos[1].path), [frames["a/r_1.png"], frames["a/r_2.png"]])
    with pytest.raises(InputError, match="holds 4 image sequences; name one, in quotes"):
        open_video(tmp_path / "f.zip")


def test_other_archives_are_no_videos(tmp_path: Path) -> None:
    archive(tmp_path / "f.zip", "cover.png")
    assert not find_videos([tmp_path]).videos
    with pytest.raises(InputError, match=r"f\.zip: is a zip archive without an image sequence; unpack it"):
        open_video(tmp_path / "f.zip")


def test_damage_is_named(tmp_path: Path) -> None:
    archive(tmp_path / "f.zip", "a/1.png", "a/2.png")
    content = bytearray((tmp_path / "f.zip").read_bytes())
    content[150] ^= 255
    (tmp_path / "f.zip").write_bytes(content)
    with pytest.raises(InputError, match=r"f\.zip: is a damaged or encrypted zip archive"):
        read(tmp_path / "f.zip")
    (tmp_path / "f.zip").write_bytes(content[:200])
    with pytest.raises(InputError, match=r"f\.zip: is a damaged or encrypted zip archive"):
        open_video(tmp_path / "f.zip")
