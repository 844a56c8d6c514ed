from pathlib import Path

import numpy as np
import pytest

from convlstm_cli.errors import InputError, UsageError
from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.data import VideoData, prepare, restore
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


def test_eight_bits_are_pictures(tmp_path: Path) -> None:
    for name in "abc":
        save(tmp_path, name, "uint8", 0, 50)
    data = prepared(tmp_path)
    assert data.values == BYTES
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
