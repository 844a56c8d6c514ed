import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from video_helpers import few

from convlstm_cli.errors import InputError
from convlstm_cli.video.packing import Packing, cf_packing


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
    unsigned = {"valid_range": np.array([0, -2], np.int8), "_Unsigned": "true", "scale_factor": 0.5}
    assert cf_packing(unsigned, "a").declared_range == (0, 127)


def test_plain_values_are_the_stored_ones() -> None:
    raw = np.arange(9, dtype=np.uint16)
    assert Packing().to_values(raw) is raw
    with pytest.raises(InputError, match="no number"):
        cf_packing({"add_offset": "ten"}, "a")


@few
@given(
    st.sampled_from("bBhHiI"),
    st.sampled_from([1.0, 0.5, 0.01, -2.0]),
    st.integers(-100, 100),
    st.booleans(),
    st.integers(0, 2**32),
)
def test_values_are_stored_as_they_were(kind: str, scale: float, offset: int, unsigned: bool, seed: int) -> None:
    info = np.iinfo(kind)
    raw = np.random.default_rng(seed).integers(info.min, info.max, 40, kind, endpoint=True)
    attributes = {"scale_factor": scale, "add_offset": float(offset), "_FillValue": raw[0]}
    packing = cf_packing(attributes | ({"_Unsigned": "true"} if unsigned and kind.islower() else {}), "a")
    stored = packing.to_stored(packing.to_values(raw), raw.dtype)
    assert stored.dtype == raw.dtype
    np.testing.assert_array_equal(stored, raw)


def test_a_value_never_becomes_the_missing_one() -> None:
    packing = Packing(scale=0.5, missing=(255.0,))
    stored = packing.to_stored(np.array([127.4, 500.0, math.nan, 3.1], np.float32), np.dtype(np.uint8))
    np.testing.assert_array_equal(stored, [254, 254, 255, 6])
    assert Packing(scale=0.5, missing=(0.0,)).to_stored(np.array([0.1]), np.dtype(np.uint8)) == 1


def test_integers_without_a_missing_value_refuse_nan() -> None:
    with pytest.raises(ValueError, match="int16 has no value for them"):
        Packing().to_stored(np.array([math.nan]), np.dtype(np.int16))
    assert Packing(missing=(-9999.0,)).to_stored(np.array([math.nan]), np.dtype(np.float32)) == -9999
    assert Packing().to_stored(np.array([300, -1]), np.dtype(np.uint8)).tolist() == [255, 0]
