import math
from typing import Literal

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from convlstm_cli.errors import InputError, UsageError
from convlstm_cli.video.values import TYPES, ValueRange, declared, in_unit, native, to_type

ENDS = st.floats(-1e6, 1e6)


@given(ENDS, ENDS, st.booleans(), st.lists(st.floats(0, 1), min_size=1))
def test_a_range_and_its_inverse(low: float, high: float, log: bool, shares: list[float]) -> None:
    if high - low < 1e-3:
        with pytest.raises(ValueError, match="a range of values"):
            ValueRange(max(low, high), min(low, high))
        return
    values = ValueRange(low, high, log=log)
    given_shares = np.array(shares)
    inside = values.from_unit(given_shares)
    assert ((inside >= low - 1e-6) & (inside <= high + 1e-6)).all()
    np.testing.assert_allclose(values.to_unit(inside), given_shares, atol=1e-5)
    np.testing.assert_allclose(values.from_unit(torch.tensor(given_shares)).numpy(), inside, rtol=1e-12, atol=1e-9)
    np.testing.assert_allclose(values.to_unit(torch.tensor(inside)).numpy(), values.to_unit(inside), atol=1e-12)


def test_values_outside_are_clipped_and_missing_ones_stay() -> None:
    shares = ValueRange(-10.0, 10.0).to_unit(np.array([-20.0, -10, 0, 10, 1e9, math.nan]))
    np.testing.assert_array_equal(shares, [0, 0, 0.5, 1, 1, math.nan])


def test_values_outside_stay_what_they_are_where_they_are_not_clipped() -> None:
    found = np.array([-20.0, 0, 30, math.nan])
    np.testing.assert_allclose(ValueRange(-10.0, 10.0).to_unit(found, clipped=False), [-0.5, 0.5, 2, math.nan])
    log = ValueRange(0.0, 10.0, log=True)
    np.testing.assert_allclose(log.from_unit(log.to_unit(found, clipped=False)), [0, 0, 30, math.nan], atol=1e-9)
    bands = ValueRange.of_bands([ValueRange(0.0, 1.0), ValueRange(0.0, 100.0)])
    np.testing.assert_allclose(bands.to_unit(np.array([[2.0, 50.0]]), clipped=False), [[2, 0.5]])


@pytest.mark.parametrize(
    ("trained", "unit", "dtype", "doubt"),
    [
        ("mm/h", "mm/h", "float32", None),
        ("mm/h", "", "float32", None),
        ("mm/h", "dBZ", "float32", "is in dBZ, and the training was on values in mm/h"),
        ("mm/h", "", "uint8", "holds 8-bit pictures, and the training was on values in mm/h"),
        ("", "dBZ", "uint8", None),
    ],
)
def test_values_of_another_unit_are_doubted(trained: str, unit: str, dtype: str, doubt: str | None) -> None:
    found = ValueRange(0.0, 80.0, trained).doubt(unit, dtype)
    assert (found is None) == (doubt is None)
    assert (found or "").startswith(doubt or "")


def test_a_logarithmic_range_spreads_small_values() -> None:
    linear, log = ValueRange(0.0, 80.0), ValueRange(0.0, 80.0, log=True)
    assert log.to_unit(np.array([0.0, 80.0])).tolist() == [0, pytest.approx(1)]
    assert log.to_unit(np.array(0.5)) > 5 * linear.to_unit(np.array(0.5))


@pytest.mark.parametrize("name", sorted(TYPES))
@pytest.mark.parametrize("order", ["<", ">"])
def test_types_keep_their_numbers_in_any_order_of_bytes(name: str, order: Literal["<", ">"]) -> None:
    pixels = np.array([[0, 1], [1, 0]], np.dtype(name).newbyteorder(order))
    kept = native(pixels, "x")
    assert kept.dtype == np.dtype(name)
    np.testing.assert_array_equal(kept, pixels)
    np.testing.assert_array_equal(to_type(pixels.astype(np.float64), kept.dtype), kept)


def test_other_integers_are_kept_in_a_type_that_holds_them_and_no_numbers_are_refused() -> None:
    assert native(np.array([-128], np.int8), "x").tolist() == [-128]
    assert native(np.array([2**40], np.int64), "x").tolist() == [2**40]
    with pytest.raises(InputError, match=r"^x: .*complex64.*save"):
        native(np.zeros(3, np.complex64), "x")


def test_masked_pixels_are_missing() -> None:
    masked = np.ma.MaskedArray(np.array([1, 255], np.uint8), [False, True])
    np.testing.assert_array_equal(native(masked, "x"), [1, math.nan])


def test_integers_are_rounded_and_stay_in_their_type() -> None:
    values = np.array([-5.0, 0.5, 1.6, 300.0])
    assert to_type(values, np.dtype(np.uint8)).tolist() == [0, 0, 2, 255]
    assert to_type(values, np.dtype(bool)).tolist() == [False, True, True, True]


def test_ends_are_shown_with_their_unit() -> None:
    assert in_unit((0.0, 0.8), "1") == "0 to 0.8"
    assert (in_unit((0.0, 80.0), "mm/h"), in_unit((-2000.0, 3500.0), "")) == ("0 to 80 mm/h", "-2000 to 3500")
    assert ValueRange(0.0, 80.0, "mm/h", log=True).describe() == "0 to 80 mm/h, logarithmic"


@pytest.mark.parametrize("ends", [None, (0.0, math.inf), (math.nan, 1.0), (5.0, 5.0), (9.0, 1.0)])
def test_a_declared_range_that_cannot_be_is_none(ends: tuple[float, float] | None) -> None:
    assert declared(ends, "mm/h") is None
    assert declared((-32.0, 60.0), "dBZ") == ValueRange(-32.0, 60.0, "dBZ")


def test_bands_are_mapped_each_by_its_range_and_scored_in_shares() -> None:
    values = ValueRange.of_bands([ValueRange(0.0, 1.0), ValueRange(180.0, 330.0, "K"), ValueRange(0.0, 80.0, log=True)])
    frame = np.array([[[0.5, 255.0, 80.0], [2.0, 180.0, math.nan]]])
    shares = values.to_unit(frame)
    np.testing.assert_allclose(shares, [[[0.5, 0.5, 1.0], [1.0, 0.0, math.nan]]])
    np.testing.assert_allclose(values.from_unit(shares), [[[0.5, 255.0, 80.0], [1.0, 180.0, math.nan]]])
    assert (values.scored_span, values.unit, values.as_shares) == (1.0, "", False)
    assert ValueRange.from_dict(values.to_dict()) == msgspec.convert(values.to_dict(), ValueRange) == values
    assert "bands" not in ValueRange(0.0, 1.0).to_dict()
    assert values.describe() == "0 to 1 | 180 to 330 K | 0 to 80, logarithmic by channel"
    assert values.describe(most=1) == "0 to 1 | 2 more by channel"
    with pytest.raises(UsageError, match=r"--thresholds has .* each channel has a range of its own"):
        values.check_inside("--thresholds", 0.5)
    with pytest.raises(ValueError, match="ranges of bands"):
        ValueRange(0.0, 2.0, bands=values.bands)
