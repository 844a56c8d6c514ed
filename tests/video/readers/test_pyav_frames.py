"""What PyAV reads in place of OpenCV: the pictures, their shape and their times."""

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av_files import encode, moving_frames
from PIL import Image

from convlstm_cli.errors import InputError
from convlstm_cli.video.colour import Frame
from convlstm_cli.video.readers import open_video
from convlstm_cli.video.readers.container import decide, probe
from convlstm_cli.video.readers.opencv_frames import opencv_frames
from convlstm_cli.video.readers.pyav_frames import pyav_frames


def read(path: Path) -> tuple[list[Frame], list[float | None], list[str]]:
    """Frames, times, and notes with the reason for the decoder."""
    frames, times = [], []
    with open_video(path) as video:
        for frame in video:
            frames.append(frame)
            times.append(video.time)
        assert video.decoder == "PyAV"
        return frames, times, [*video.notes, video.decoder_reason or ""]


def combed(stream: Any) -> None:
    stream.codec_context.flags |= 0x20040000  # AV_CODEC_FLAG_INTERLACED_ME and _DCT


@pytest.mark.parametrize(("codec", "suffix"), [("libx264", "mts"), ("mpeg2video", "mpg"), ("mpeg2video", "mkv")])
def test_interlaced_material_is_deinterlaced(tmp_path: Path, codec: str, suffix: str) -> None:
    """A bar that moves between fields has teeth in the woven frame."""
    columns = np.arange(96)
    fields = [np.where(np.abs(columns - 10 - 3 * t) < 6, 220, 40).astype(np.uint8) for t in range(24)]
    woven = [np.stack([fields[2 * t + row % 2] for row in range(64)]) for t in range(12)]
    frames = [np.repeat(frame[:, :, None], 3, axis=2) for frame in woven]
    path = encode(tmp_path / f"a.{suffix}", codec, frames, adapt=combed, options={"top": "1", "b": "2M"})
    assert probe(path).interlaced
    found, times, notes = read(path)
    assert len(found) == 12
    assert np.diff(np.asarray(times, float)) == pytest.approx(0.04, abs=1e-6)
    assert any("interlaced" in note for note in notes)
    teeth = [np.abs(np.diff(picture[8:-8, :, 0].astype(float), axis=0)).mean() for picture in (frames[5], found[5])]
    assert teeth[1] < teeth[0] / 3
    assert np.abs(found[5].astype(float) - frames[5]).mean() < 15


@pytest.mark.parametrize(("aspect", "size"), [(Fraction(64, 45), (32, 68)), (Fraction(1, 2), (64, 48))])
def test_pixels_become_square(tmp_path: Path, aspect: Fraction, size: tuple[int, int]) -> None:
    frames, _, notes = read(encode(tmp_path / "a.mp4", "libx264", moving_frames(4), aspect=aspect))
    assert frames[0].shape == (*size, 3)
    assert any("not square" in note and f"{size[1]}x{size[0]}" in note for note in notes)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_both_decoders_turn_a_video_the_same_way(tmp_path: Path, quarters: int) -> None:
    path = encode(tmp_path / "a.mp4", "libx264", moving_frames(4))
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 44
    cos, sin = [(1, 0), (0, 1), (-1, 0), (0, -1)][quarters]
    turned = (cos << 16, sin << 16, 0, -sin << 16, cos << 16, 0, 0, 0, 1 << 30)
    content[matrix : matrix + 36] = struct.pack(">9i", *turned)
    path.write_bytes(content)
    facts = probe(path)
    notes: tuple[list[str], list[str]] = ([], [])
    ours, others = list(opencv_frames(path, facts, notes[0])), list(pyav_frames(path, facts, notes[1]))
    assert ours[0].pixels.shape == ((48, 32, 3) if quarters % 2 else (32, 48, 3))
    for one, other in zip(ours, others, strict=True):
        np.testing.assert_array_equal(one.pixels, other.pixels)
    assert notes[0] == notes[1] == [f"it is turned by {90 * quarters} degrees, as the file asks"]


@pytest.mark.parametrize("matrix", [(-1, 0, 0, 1), (1, 0, 0, -1), (0, 1, 1, 0), (0, -1, -1, 0)])
def test_mirrored_videos_are_mirrored(tmp_path: Path, matrix: tuple[int, int, int, int]) -> None:
    path = encode(tmp_path / "a.mp4", "libx264", moving_frames(4))
    plain = [frame.pixels for frame in pyav_frames(path, probe(path), [])]
    content = bytearray(path.read_bytes())
    start, (a, b, c, d) = content.index(b"tkhd") + 44, matrix
    content[start : start + 20] = struct.pack(">5i", a << 16, b << 16, 0, c << 16, d << 16)
    path.write_bytes(content)
    frames, _, notes = read(path)
    for frame, before in zip(frames, plain, strict=True):
        shown = np.swapaxes(before, 0, 1) if b else before
        np.testing.assert_array_equal(frame, shown[:: d or b, :: a or c])
    assert "it is mirrored, as the file asks" in notes


@pytest.mark.parametrize(("codec", "pixel_format"), [("ffv1", "gray16le"), ("ffv1", "rgb48le"), ("ffv1", "gray12le")])
def test_deep_pixels_keep_their_numbers(tmp_path: Path, codec: str, pixel_format: str) -> None:
    if pixel_format not in [known.name for known in av.Codec(codec, "w").video_formats or ()]:
        pytest.skip(f"this PyAV does not write {pixel_format}")
    most = 4095 if "12" in pixel_format else 65535
    ramp = np.linspace(0, most, 32 * 48).round().astype(np.uint16).reshape(32, 48)
    ramps = [np.roll(ramp, t) for t in range(4)]
    deep = [np.repeat(r[:, :, None], 3, axis=2) if "rgb" in pixel_format else r for r in ramps]
    frames, _, notes = read(encode(tmp_path / "a.mkv", codec, deep, pixel_format, given_as=pixel_format))
    for frame, expected in zip(frames, ramps, strict=True):
        assert frame.shape[2] == (3 if "rgb" in pixel_format else 1)
        np.testing.assert_array_equal(frame[:, :, -1], expected)
    assert any("bits" in note for note in notes)


def test_alpha_of_0_is_missing_and_other_alpha_is_laid_over_black(tmp_path: Path) -> None:
    pictures = np.stack([np.dstack((frame, np.full((32, 48), 255, np.uint8))) for frame in moving_frames(4)])
    pictures[:, :16, :, 3], pictures[:, 16:, :24, 3] = 0, 51
    frames, _, _ = read(encode(tmp_path / "a.mkv", "ffv1", list(pictures), "bgra", given_as="rgba"))
    for frame, picture in zip(frames, pictures, strict=True):
        assert np.isnan(frame[:16]).all()
        np.testing.assert_array_equal(frame[16:, 24:], picture[16:, 24:, :3])
        assert np.abs(frame[16:, :24] - picture[16:, :24, :3] / 5).max() <= 0.5


def test_an_alpha_channel_that_is_empty_hides_nothing(tmp_path: Path) -> None:
    pictures = [np.dstack((frame, np.zeros((32, 48), np.uint8))) for frame in moving_frames(4)]
    frames, _, _ = read(encode(tmp_path / "a.mkv", "ffv1", pictures, "bgra", given_as="rgba"))
    np.testing.assert_array_equal(frames, np.stack(pictures)[..., :3])


def test_transparent_pixels_of_a_gif_are_missing(tmp_path: Path) -> None:
    picture = np.full((32, 48, 4), (200, 100, 50, 255), np.uint8)
    picture[:, :24, 3] = 0
    first, second = Image.fromarray(picture), Image.fromarray(np.roll(picture, 8, axis=1))
    first.save(tmp_path / "a.gif", save_all=True, append_images=[second], disposal=2)
    frames, _, _ = read(tmp_path / "a.gif")
    assert np.isnan(frames[0][:, :24]).all()
    np.testing.assert_array_equal(frames[0][:, 24:], picture[:, 24:, :3])


def test_times_are_those_of_the_frames(tmp_path: Path) -> None:
    times = [0, 1, 2, 5, 6, 9, 10, 11, 30, 31]
    _, found, notes = read(encode(tmp_path / "a.mp4", "libx264", moving_frames(10), times=times))
    assert found == pytest.approx([time / 25 for time in times], abs=1e-4)
    assert any("uneven times" in note for note in notes)


def test_an_avi_with_reordered_frames_has_even_times(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.avi", "libx264", moving_frames(20))
    frames, times, _ = read(path)
    assert len(frames) == 20
    assert np.diff(np.asarray(times, float)) == pytest.approx(0.04, abs=1e-6)


@pytest.mark.parametrize(("codec", "suffix"), [("libx264", "h264"), ("mjpeg", "mjpeg")])
def test_a_raw_stream_has_no_times(tmp_path: Path, codec: str, suffix: str) -> None:
    pixel_format = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    frames, times, _ = read(encode(tmp_path / f"a.{suffix}", codec, moving_frames(8), pixel_format))
    assert len(frames) == 8
    assert times == [None] * 8


@pytest.mark.parametrize("encoder", ["libsvtav1", "libaom-av1"])
def test_av1(tmp_path: Path, encoder: str) -> None:
    if encoder not in av.codecs_available:
        pytest.skip(f"this PyAV does not write {encoder}")
    made = moving_frames(4, 64, 64)
    frames, _, notes = read(encode(tmp_path / "a.mp4", encoder, made, options={"preset": "12"}))
    assert np.abs(np.stack(frames).astype(float) - made).mean() < 12
    assert any("AV1" in note for note in notes)


@pytest.mark.parametrize("rate", [480, Fraction(1, 60), Fraction(30000, 1001)])
def test_rates_are_kept(tmp_path: Path, rate: Fraction) -> None:
    with open_video(encode(tmp_path / "a.mp4", "libx264", moving_frames(6), rate=rate)) as video:
        assert video.fps == pytest.approx(float(rate))
        assert video.declared_frames == sum(1 for _ in video) == 6
        assert video.time == pytest.approx(5 / float(rate), rel=1e-3)


def test_sound_with_a_cover_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        sound.sample_rate = 44100
        container.mux(stream.encode(sound))
        container.mux(stream.encode())
    with pytest.raises(InputError, match=r"song\.mp4: holds sound, no video"):
        open_video(path)


def test_a_size_that_changes_in_a_raw_stream_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mjpeg"
    with path.open("wb") as file:
        for number, frame in enumerate(moving_frames(6)):
            Image.fromarray(frame[: 32 - 8 * (number >= 3)]).save(file, "JPEG")
    with (
        pytest.raises(InputError, match=r"a\.mjpeg: changes from 32x48 to 24x48 pixels at frame 4"),
        open_video(path) as video,
    ):
        list(video)


def test_the_decision_is_in_words(tmp_path: Path) -> None:
    facts = probe(encode(tmp_path / "a.mp4", "libx264", moving_frames(4), aspect=Fraction(2)))
    assert decide(facts).reasons == ("has pixels that are not square",)


def test_transparent_pixels_of_webm_are_missing(tmp_path: Path) -> None:
    picture = np.full((32, 48, 4), (200, 100, 50, 255), np.uint8)
    picture[:, :24, 3] = 0
    frames, _, notes = read(encode(tmp_path / "a.webm", "libvpx-vp9", [picture] * 4, "yuva420p", given_as="rgba"))
    assert np.isnan(frames[0][:, :20]).all()
    assert np.abs(frames[0][:, 28:].astype(float) - (200, 100, 50)).max() < 16
    assert any("transparent" in note for note in notes)
