import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from video_helpers import few

from convlstm_cli.errors import InputError
from convlstm_cli.video.readers.arrays.packing import Packing, cf_packing


@few
@given(st.sampled_from("bBhHiI"), st.integers(-5, 5).map(lambda power: 2.0**power), st.integers(-100, 100), st.data())
def test_what_was_packed_comes_back(kind: str, scale: float, offset: int, data: st.DataObject) -> None:
    info = np.iinfo(kind)
    raw = np.array(data.draw(st.lists(st.integers(int(info.min), int(info.max)), min_size=1)), kind)
    packing = cf_packing({"scale_factor": scale, "add_offset": float(offset), "_FillValue": raw[0]}, "a")
    values = packing.to_values(raw)
    expected = np.where(raw == raw[0], math.nan, raw.astype(np.float64) * scale + offset)
    if packing.is_scaled:
        assert values.dtype == (np.float64 if raw.itemsize > 2 else np.float32)
        np.testing.assert_array_equal(values, expected.astype(values.dtype))
    else:
        np.testing.assert_array_equal(values, raw)
        assert packing.missing_value(raw.dtype) == raw[0]


def test_fill_values_of_another_precision() -> None:
    packing = cf_packing({"_FillValue": 1e20, "missing_value": np.float32(-9999.9)}, "a")
    raw = np.array([1e20, -9999.9, 3], np.float32)
    np.testing.assert_array_equal(packing.to_values(raw), np.array([math.nan, math.nan, 3], np.float32))
    assert packing.missing_value(raw.dtype) is None


def test_bytes_without_a_sign() -> None:
    packing = cf_packing({"_Unsigned": "true", "_FillValue": np.int8(-1), "missing_value": 999.0}, "a")
    raw = np.array([-1, -128, 5], np.int8)
    np.testing.assert_array_equal(packing.to_values(raw), np.array([255, 128, 5], np.uint8))
    assert packing.missing_value(raw.dtype) == 255


def test_valid_ranges_are_in_the_unit() -> None:
    assert cf_packing({"valid_range": [0, 200], "scale_factor": -0.5}, "a").declared_range == (-100, 0)
    assert cf_packing({"valid_min": 0, "valid_max": b"9"}, "a").declared_range == (0, 9)
    assert cf_packing({"valid_max": 9}, "a").declared_range is None


def test_plain_values_are_the_stored_ones() -> None:
    raw = np.arange(9, dtype=np.uint16)
    assert Packing().to_values(raw) is raw
    with pytest.raises(InputError, match="no number"):
        cf_packing({"add_offset": "ten"}, "a")
