import os
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from video_helpers import FILE_FORMATS, VIDEO_FORMATS, MakeFrames, clips, few, read, write

from convlstm_cli.errors import OutputError
from convlstm_cli.video.colour import Frame
from convlstm_cli.video.formats import OUTPUT_FORMATS
from convlstm_cli.video.opencv import cv2
from convlstm_cli.video.pyav import av
from convlstm_cli.video.writers.pyav_video import PyAVWriter


def decoded_by_pyav(path: Path) -> list[Frame]:
    with av.open(path) as container:
        return [np.asarray(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def decoded_by_opencv(path: Path) -> list[Frame]:
    capture, frames = cv2.VideoCapture(str(path)), []
    while (decoded := capture.read())[0]:
        frames.append(np.asarray(cv2.cvtColor(decoded[1], cv2.COLOR_BGR2RGB), np.uint8))
    return frames


DECODERS = decoded_by_pyav, decoded_by_opencv


@few
@given(clips())
def test_lossless_video_comes_back_whatever_decodes_it(
    tmp_path_factory: pytest.TempPathFactory, frames: list[Frame]
) -> None:
    path = write(tmp_path_factory.mktemp("lossless") / "a", "lossless", frames)
    for decode in DECODERS:
        np.testing.assert_array_equal(decode(path), np.broadcast_to(frames, (*np.shape(frames)[:3], 3)))


@pytest.mark.parametrize("decode", DECODERS)
@pytest.mark.parametrize("kind", ["webm", "mp4"])
def test_colours_stay_and_grey_stays_grey(tmp_path: Path, kind: str, decode: Callable[[Path], list[Frame]]) -> None:
    size = 48, 64
    primaries = [np.full((*size, 3), colour, np.uint8) for colour in np.ndindex(2, 2, 2)]
    frames = [np.array(frame * 200 + 25, np.uint8) for frame in primaries]
    for seen, frame in zip(decode(write(tmp_path / "colour", kind, frames)), frames, strict=True):
        assert np.abs(seen.astype(float) - frame).mean() < 3, "another matrix or range would be further off"
    ramp = np.broadcast_to(np.linspace(0, 255, size[1], dtype=np.uint8), size)[..., None]
    for seen in decode(write(tmp_path / "grey", kind, [ramp] * 5)):
        np.testing.assert_array_equal(seen, seen[..., :1].repeat(3, axis=2))
        assert np.abs(seen.astype(float) - ramp).mean() < 2


@pytest.mark.parametrize("kind", ["webm", "mp4"])
def test_odd_sides_gain_a_copy_of_their_edge(tmp_path: Path, make_frames: MakeFrames, kind: str) -> None:
    odd = make_frames(3, 33, 47)
    even = [np.pad(frame, [(0, 1), (0, 1), (0, 0)], mode="edge") for frame in odd]
    np.testing.assert_array_equal(read(write(tmp_path / "a", kind, odd)), read(write(tmp_path / "b", kind, even)))


@pytest.mark.parametrize("kind", VIDEO_FORMATS)
@pytest.mark.parametrize("rate", [Fraction(480), Fraction(1, 60), Fraction(30000, 1001), Fraction(25, 2)])
def test_rates_are_exact(tmp_path: Path, make_frames: MakeFrames, kind: str, rate: Fraction) -> None:
    with av.open(write(tmp_path / "a", kind, make_frames(7), float(rate))) as container:
        assert container.streams.video[0].average_rate == rate
        times = [frame.time for frame in container.decode(video=0)]
    np.testing.assert_allclose(
        times, [float(number / rate) for number in range(7)], atol=0.0005
    )  # WebM counts milliseconds


def test_equal_frames_give_equal_bytes(tmp_path: Path) -> None:
    """Whatever the memory held before and however many cores there are."""
    code = f"""
import sys
from pathlib import Path
import numpy as np
from video_helpers import write
y, x, t = np.mgrid[:48, :64, :30]
waves = np.uint8(127 + 120 * np.sin(x / 5 + t / 3) * np.cos(y / 7 - t / 4))
for kind in {FILE_FORMATS}:
    write(Path(sys.argv[1]) / "a", kind, [waves[:, :, number, None] for number in range(30)])
"""
    search = os.pathsep.join((*sys.path, str(Path(__file__).parents[2])))
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder, fill in zip(folders, ("1", "170"), strict=True):  # with which the GNU C library fills memory
        environment = {**os.environ, "PYTHONPATH": search, "MALLOC_PERTURB_": fill, "OMP_NUM_THREADS": fill[:1]}
        subprocess.run([sys.executable, "-c", code, str(folder)], env=environment, check=True, timeout=60)
    for kind in FILE_FORMATS:
        first, second = ((folder / f"a{OUTPUT_FORMATS[kind].suffix}").read_bytes() for folder in folders)
        assert first == second, kind


@pytest.mark.parametrize("kind", VIDEO_FORMATS)
def test_an_encoder_that_is_missing_comes_with_a_choice(
    tmp_path: Path, make_frames: MakeFrames, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(OUTPUT_FORMATS[kind].load_writer(), "codec", "XXXX")
    with pytest.raises(OutputError, match="choose --format png"):
        write(tmp_path / "a", kind, make_frames(1))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fps", [1e-6, 1e10, float("inf")])
def test_a_size_or_a_rate_that_no_video_can_have_comes_with_a_choice(tmp_path: Path, fps: float) -> None:
    for shape, rate in (((48, 64, 1), fps), ((2, 2**17, 1), 10.0)):
        with pytest.raises(OutputError, match=r"a\.mp4: .* \(.*\); choose --format png"):
            write(tmp_path / "a", "mp4", [np.zeros(shape, np.uint8)], rate)
        assert list(tmp_path.iterdir()) == []


def test_every_video_is_written_by_it() -> None:
    assert all(issubclass(OUTPUT_FORMATS[kind].load_writer(), PyAVWriter) for kind in VIDEO_FORMATS)
