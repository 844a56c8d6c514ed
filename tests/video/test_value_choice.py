import json
import re
from pathlib import Path

import netCDF4
import numpy as np
import pytest

from convlstm_cli.errors import InputError, UsageError
from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.data import VideoData, prepare, restore
from convlstm_cli.video.painting import Painter
from convlstm_cli.video.tensors import to_values
from convlstm_cli.video.value_choice import outside
from convlstm_cli.video.values import BYTES, ValueRange

RANDOM = np.random.default_rng(0)


def prepared(folder: Path, **settings: object) -> VideoData:
    config = DataConfig((str(folder),), height=16, width=16, **settings)  # type: ignore[arg-type]
    return prepare(config, 2, 1)


def save(folder: Path, name: str, dtype: str, low: float, high: float, height: int = 24) -> None:
    folder.mkdir(exist_ok=True)
    np.save(folder / f"{name}.npy", RANDOM.uniform(low, high, (13, height, 24)).astype(dtype))


def test_the_range_is_that_of_the_values_and_padding_does_not_count(tmp_path: Path) -> None:
    for name in "abc":
        save(tmp_path, name, "uint16", 29_300, 30_300, height=12)
    data = prepared(tmp_path)
    assert 29_290 < data.values.low < data.values.high < 30_310
    clip = data.clips("train")[0]
    assert clip.min() == 0  # of the padding
    assert clip[:, :, 4:12].std() > 0.1
    assert restore(data.to_dict(), 2, 1).values == data.values


def test_it_can_be_given(tmp_path: Path) -> None:
    for name in "abc":
        save(tmp_path, name, "float32", 0, 50)
    assert prepared(tmp_path, value_range="-10, 80", log=True).values == ValueRange(-10.0, 80.0, log=True)


def test_values_far_outside_a_range_of_another_training_are_said(tmp_path: Path) -> None:
    for name in "abc":
        save(tmp_path, name, "float32", 10, 50)
    data = prepared(tmp_path)
    said = "the values are .* to [45].*, and those outside the 5 to 30 mm/h of the training count as its ends"
    heavier = outside(data.library, data.split.train, ValueRange(5.0, 30.0, "mm/h"))
    assert re.fullmatch(said, heavier or "")
    assert outside(data.library, data.split.train, ValueRange(11.0, 49.0)) is None
    bands = ValueRange.of_bands([ValueRange(20.0, 60.0)])
    assert "20 to 60 of the training" in (outside(data.library, data.split.train, bands) or "")


def test_values_outside_the_range_that_their_source_declares_are_said(tmp_path: Path) -> None:
    for number in range(3):
        with netCDF4.Dataset(tmp_path / f"{number}.nc", "w") as file:
            for name, size in (("time", 9), ("y", 16), ("x", 16)):
                file.createDimension(name, size)
            rain = file.createVariable("rain", "f4", ("time", "y", "x"))
            rain.valid_range = np.array([0, 100], "f4")
            rain[:] = RANDOM.uniform(90, 300, (9, 16, 16))
    notes = prepared(tmp_path).value_notes()
    assert [note for note in notes if "most values lie outside the range that the source declares" in note]
    assert prepared(tmp_path, value_range="0,300").value_notes() == []


def test_eight_bits_are_pictures(tmp_path: Path) -> None:
    for name in "abc":
        save(tmp_path, name, "uint8", 0, 50)
    data = prepared(tmp_path)
    assert data.values == BYTES
    assert outside(data.library, data.split.train, BYTES) is None
    assert data.clips("train")[0].max() > 1


def test_numbers_of_several_meanings_are_refused_unless_a_range_makes_them_one(tmp_path: Path) -> None:
    for name in "abc":
        save(tmp_path, name, "uint8", 0, 255)
    save(tmp_path, "d", "uint16", 0, 4095)
    with pytest.raises(InputError, match=r"d\.npy: holds values of type uint16.*--range"):
        prepared(tmp_path)
    assert prepared(tmp_path, value_range="0,4095").values.high == 4095


@pytest.mark.parametrize("text", ["5", "5,1", "0,nan", "a,b", "1,2,3"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--range"):
        DataConfig((), value_range=text)


def test_the_range_is_that_of_the_source_which_larger_frames_reach(tmp_path: Path) -> None:
    for number, name in enumerate("abc"):
        save(tmp_path, name, "float32", number, 20, height=64)
        frames = np.load(tmp_path / f"{name}.npy")
        frames[:, 30, 12] = 90.0  # a peak that the mean over the pixels of a smaller frame hides
        frames[:, 30, 13:15] = 45.0, 30.0
        np.save(tmp_path / f"{name}.npy", frames)
    data = prepared(tmp_path)
    assert data.library.frames("a.npy").max() < 60
    assert data.values.high == 90.0


def test_only_frames_of_the_training_choose_the_range(tmp_path: Path) -> None:
    tmp_path.mkdir(exist_ok=True)
    np.save(tmp_path / "a.npy", RANDOM.uniform(1, 2, (60, 24, 24)) * np.linspace(1, 60, 60)[:, None, None])
    data = prepared(tmp_path)
    [segment] = data.split.train
    frames = np.load(tmp_path / "a.npy")[segment.start : segment.stop]
    assert (data.values.low, data.values.high) == (frames.min(), frames.max())
    assert data.values.high < np.load(tmp_path / "a.npy").max()


def save_bands(folder: Path, *spans: tuple[float, float], dtype: str = "float32") -> None:
    for name in "abc":
        bands = [RANDOM.uniform(low, high, (13, 24, 24)) for low, high in spans]
        np.save(folder / f"{name}.npy", np.stack(bands, axis=-1).astype(dtype))


def test_channels_of_different_kinds_have_a_range_each(tmp_path: Path) -> None:
    save_bands(tmp_path, (0, 1), (180, 330), (0.2, 0.6), (200, 300))
    data = prepared(tmp_path)
    assert [round(band.high, 2) for band in data.values.bands] == pytest.approx([1, 330, 0.6, 300], abs=0.1)
    clip = data.clips("train")[0]
    assert clip.std(dim=(0, 2, 3)).min() > 0.1
    assert clip[0, 3].mean() == pytest.approx(0.5, abs=0.05)
    assert restore(json.loads(json.dumps(data.to_dict())), 2, 1).values == data.values
    frame = data.library.frames(data.split.train[0].video)[data.split.train[0].start]
    np.testing.assert_allclose(to_values(data.clips("train")[0][0], data.values, frame.dtype), frame, rtol=1e-4)
    picture = Painter(data.values).paint(frame)
    assert picture.std(axis=(0, 1)).min() > 20


@pytest.mark.parametrize(
    ("spans", "dtype"),
    [
        (((0, 1), (0.3, 1.2), (0, 0.9), (0.1, 1)), "float32"),  # alike: errors keep the numbers of the source
        (((0, 40_000), (100, 900), (0, 60_000)), "uint16"),  # a picture of little green
    ],
)
def test_channels_of_one_kind_have_one_range(
    tmp_path: Path, spans: tuple[tuple[float, float], ...], dtype: str
) -> None:
    save_bands(tmp_path, *spans, dtype=dtype)
    assert prepared(tmp_path).values.bands == ()


def test_people_are_shown_what_is_clipped_and_where_a_logarithm_helps(tmp_path: Path) -> None:
    for name in "abc":
        rain = RANDOM.lognormal(0, 1.5, (13, 24, 24))
        rain[RANDOM.random(rain.shape) < 0.5] = 0
        rain[3, 4, 5] = -9999
        np.save(tmp_path / f"{name}.npy", rain)
    data = prepared(tmp_path)
    assert (data.values.low, data.values.high > 30) == (0, True)
    clipped, skewed = data.value_notes()
    assert "-9999 lie apart" in clipped
    assert "--log" in skewed
    assert len(prepared(tmp_path, log=True).value_notes()) == 1
    assert prepared(tmp_path, value_range="0,80").value_notes() == []
