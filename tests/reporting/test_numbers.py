from convlstm_cli.reporting.numbers import chance, duration, interval, number, percent, rounded, size, times


def test_numbers_have_true_minus_signs_and_missing_ones_are_dashes() -> None:
    assert (number(-0.5, 1), number(None), number(float("inf"), 2, "∞"), number(float("nan"))) == (
        "−0.5",
        "-",
        "∞",
        "-",
    )
    assert (percent(-0.0312), percent(0.5, 0), percent(None)) == ("−3.12 %", "+50 %", "-")
    assert interval([-0.1, None], number, 2, "∞") == "−0.10 to ∞"
    assert interval(None) == "no interval"
    assert (chance(0.0004), chance(0.04), chance(None)) == ("< 0.001", "0.040", "-")
    assert (size(123_456_789), size(4.2e9), size(None)) == ("123.5 MB", "4.2 GB", "-")
    assert (duration(0.21), duration(61.2), duration(600), duration(None)) == ("210 ms", "61.2 s", "10.0 min", "-")


def test_a_ratio_of_rounding_errors_is_not_a_figure() -> None:
    assert [times(ratio) for ratio in (0.0, 0.001, 0.5, 1000.0, 172526971772.73)] == [
        "0.00 times",
        "less than 0.01 times",
        "0.50 times",
        "1000.00 times",
        "over 1,000 times",
    ]


def test_rates_are_written_out() -> None:
    assert [rounded(rate) for rate in (0.01234, 11.42, 1500.0, 90_012.0)] == ["0.0123", "11.4", "1500", "90000"]
